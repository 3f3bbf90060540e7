"""The report: what a dataset is made of and how it came about, as numbers (`facts`) and as one page (`html`).

`facts` reads the store's Tables; `complete` adds what a publish wrote and the alerts; both are functions of rows,
parameters and manifests, so the published `report.json` and `report.html` hold no time, host or path. The store's own
report also shows timings, given to `html` apart.
"""

from dataforge.report.alerts import complete
from dataforge.report.facts import facts
from dataforge.report.page import html

__all__ = ["complete", "facts", "html"]
