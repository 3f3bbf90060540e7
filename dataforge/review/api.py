"""The JSON interface of the page under /api/v1: its three parts in the order in which they are tried."""

from dataforge.review import api_lead, api_people, api_work

ROUTES = [*api_work.ROUTES, *api_lead.ROUTES, *api_people.ROUTES]
