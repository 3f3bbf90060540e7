"""Words that tell nothing of the matter, in four languages, and phrases that make a sentence of only such words a filler.

"We are looking into this, will update soon" holds no other words; "looking into nginx.conf, line 3, helps" does. So no list
of sentences is needed, and a sentence with any word of the matter stays. English, German, French and Spanish.
"""

from __future__ import annotations

import re

_EN = """
i we you u he she it they one someone somebody anyone anybody nobody everyone everybody all both me us him her them my
our your his their its this that these those there here what how when where who why which if whether let lets a an the
and or but so then than to of for from with at in on into up out about around over as by be am is are was were been
being have has had having do does did doing done can could will would shall should might may must going gonna go come
need want like just still already also too again now right away currently soon later today tonight tomorrow yesterday
morning afternoon evening lunch monday tuesday wednesday thursday friday week day days moment moments minute minutes
min mins sec secs second seconds hour hours bit while asap eta shortly back after before first once any some few more
much many very really quick quickly quite pretty please pls sorry hi hey hello ok okay yes yeah yep yup no not never
sure fine good great cool nice well oh ah hm hmm um tbh thanks thank thx ty cheers lot everything something anything
nothing thing things folks people guys team teams guy colleague colleagues side end ll re ve s d m t don doesn didn
isn wasn won couldn haven hasn since two three five ten fifteen thirty half next other others else own best better
probably maybe perhaps think guess hope believe actually honestly absolutely afraid know knows see seen seeing get
getting got gotten give find look looking looked check checking checked take taking dig digging investigate
investigating working work works worked worries sort ask asking asked forward forwarded forwarding pass passed passing
escalate escalated escalating assign assigned update updated updates keep kept posted circle reach reaching touch
aware bear ready hang tight stand stay tuned noted ack acknowledged understood copy report reported reporting flag
flagged flagging raise raising heads fix fixing way coming follow following ping pinging try trying wait waiting say
tell loop idea clue same issue issues problem problems error happy happens happening interesting weird strange odd
question help helped helping awesome perfect amazing lifesaver appreciate appreciated super sorted sorting afk
available reply replies replied answer answering delay reached fixed happened wonder ring bell pay grade above list
queue plate call called calling meeting however though through until till because either neither such only ever even
yet ago late early earlier off whole kind bunch couple last due swamped busy care taken handled handling handle
dealing deal dealt rolled rolling radar brb machine hopefully unfortunately possible sooner reviewing review reviewed
testing test tested confirm confirmed confirming picked picking pick grab grabbed
"""
_DE = """
ich wir er sie es das dies diese dieser dieses du ihr man mir mich dir dich uns euch ihm ihn ihnen bin bist sind ist
war wird werde werden wurde habe hab haben hat hatte kann kannst können könnte muss müssen müsste soll sollte will mal
gleich gerade jetzt schon dran darum drum darüber drüber dazu damit davon daran nach später heute morgen nachher bald
kurz noch auch eben direkt sofort grad an auf im am zu zum zur bei beim mit für von vom und oder aber dann so da hier
nicht kein keine leider bitte gern gerne ja nein sehr danke dank vielen herzlichen schön super der die den dem des ein
eine einen einem moment momentchen minute minuten sekunde sekunden stunde stunden woche tag montag dienstag mittwoch
donnerstag freitag rückmeldung bescheid info sobald was wer wie wo ob weiß weiss wissen mehr team kollege kollegen
kollegin leute jemand schau schaue schauen geschaut guck gucke gucken prüf prüfe prüfen geprüft kümmer kümmere kümmern
frag frage fragen gefragt melde melden gebe geb geben weiter weitergegeben weitergeleitet leite sage sag erledigt
arbeit arbeiten arbeite nachschauen nachsehen nachfragen klappt geklappt geht funktioniert ging hilfe schnelle ahnung
idee gleiche gleichen selbe problem fehler alles klar erst leiten geholfen euer eure dein deine mein meine unser
unsere sein seine als wenn weil doch nur etwas nichts alle wieder fürs ans beide wohl halt denn dort hin her hierzu
ums mach mache machen macht dauert bisschen lange gesehen lieben liebe helfen teste testen probiere probier
ausprobieren nehme nimm übernehme übernimmt anschauen ansehen leid tut sorry meeting termin pause
"""
_FR = """
je j tu on nous vous il elle ils ça cela ce c le la les l un une des de du d à a au aux en y dans pour par avec sur
qui que qu quoi si vais va vas allons suis es est sommes êtes sont ai as avons ont fait faire regarde regarder
regardons vérifie vérifier vois voir occupe occuper occupons m s n t me te se lui leur demande demander équipe
collègues reviens revient revenir vers toi moi tout toute suite maintenant plus tard demain matin soir après midi
bientôt dès possible instant minute minutes moment seconde heure svp stp merci beaucoup mille aide rapide désolé pas
ne sais sait aucune idée cours encore aussi même problème souci erreur ok oui non bien très et ou mais marche
fonctionne parfait super contre tiens courant peux peut pouvons pourrai peu avant votre notre mon ma mes ton ta tes
son sa ses nos vos leurs tous toutes transmets transmettre cette cet ces dont où comme là ici rien quelque chose
quelqu jamais toujours juste entre charge teste tester test dis dire dirai arrive arrivera aider réunion essaie
essayer réponds répondre désolée voilà normalement sûr sûre
"""
_ES = """
yo lo la le les los las me te se nos tú usted ya estoy estamos está están en ello eso esto ahora ahorita mismo voy
vamos va a ver mirar miro mirando miramos reviso revisar revisarlo revisando mirarlo verlo verificar verifico déjame
deja dejame que pregunto preguntar pregunte preguntaré al el del de equipo trabajando aviso avisar avisaré digo cuento
comento rato un una unos dame minuto minutos momento segundo hora por favor gracias muchas mil ayuda funciona funcionó
no sé tengo tenemos ni idea mí también pasa misma problema error mañana luego después hoy tarde para con y o pero si
sí perdón siento más cuanto pueda pronto perfecto genial comer puedo puede podemos pedir todo todos toda todas vale
esa ese este esta esos esas su sus mi mis tu tus nuestro nuestra donde como cuando porque algo alguien nada nadie
siempre solo sólo hasta desde entre pruebo probar probando reunión ayudar ayudarte ayudaros contesto contestar
respondo responder encargo encargamos busco buscar seguro segura disculpa comprobar compruebo creo
"""
WORDS = frozenset(f"{_EN} {_DE} {_FR} {_ES}".split())

_TRIGGERS = {
    "not_known": (
        r"no (?:idea|clue)|(?:don.?t|do not|not) (?:really |quite )?(?:know|sure)|never (?:seen|had)"
        r"|keine (?:ahnung|idee)|wei(?:ß|ss) .*nicht|(?:aucune|pas d.) ?idée|sais (?:vraiment )?pas|ni idea"
        r"|no (?:lo )?sé"
        r"|(?:can.?t|cannot|can not) (?:really )?help|nicht (?:weiter)?helfen|puedo ayudar\w*"
        r"|peux pas (?:t.|vous )?aider"
    ),
    "no_answer": (
        r"thanks?|thank|thx|ty|cheers|appreciated?|that (?:worked|helped|fixed)(?!.* for (?:me|us))"
        r"|works (?:now|again)|danke?|geklappt"
        r"|geholfen|alles klar|merci|gracias|(?:ça|ca) (?:marche|fonctionne)|ya funciona"
        r"|same (?:issues?|problems?|error|thing|here)|me (?:too|neither)"
        r"|(?:seeing|see|have|had|having) (?:this|that|it) too|happens? to (?:me|us)|ring a bell|pay grade|i wonder"
        r"|also seeing|(?:bei )?mir auch|(?:gleiche|selbe)n? (?:problem|fehler)|moi aussi"
        r"|même (?:problème|souci|erreur)|mismo (?:problema|error)|mí también|interesting|weird"
        r"|strange"
        r"|that did it|on my machine"
    ),
    "refers": (r"(?:will|can|should|might|may|could|would|must) (?:probably )?(?:know|help)|knows|wrong channel"),
    # verbs that may be advice ("you should update it") count with "I", "we", "will" before them
    "deferred": (
        r"(?:i|we|me|ll|gonna|lemme|(?<!you )will)(?: (?!can|should)\w+){0,2} (?:look|check|see|ask|forward|pass"
        r"|escalate|ping|report|update|follow|try|sort|fix|investigate|dig|know|wait|keep|get back|come back"
        r"|reach out|find out)"
        r"|looking|checking|investigating|digging|working on (?:it|this|that|a fix)"
        r"|(?:have|having|take|taking) (?:a )?(?:\w+ )?look|on it|asking"
        r"|(?:forward|pass|ask|report|escalat|assign|ping)ed|(?:an|any|no|more|some|will) updates?|keep you"
        r"|circle back|(?:get|getting|come) back|let (?:you|u) know|aware|bear with|hang (?:on|tight)|stand by"
        r"|stay tuned|noted|ack|acknowledged|understood|got it|will do|on (?:the|its) way|(?:fix|update) is coming"
        r"|follow(?:ing)? up|please wait|waiting (?:for|on)"
        r"|(?:just|already|have|ve) (?:asked|reached|called|pinged)|my (?:list|queue|plate)|sort it"
        r"|get (?:this|that|it) fixed|wait (?:a|one)"
        r"|(?:give|need)(?: me)?(?: \w+){1,2} (?:secs?|min|mins|minutes?|moment|bit)"
        r"|(?:one|just a|a) (?:more )?(?:sec|second|min|minute|moment)|dran|schaue?n?|gucken?|gucke|prüfe?n?"
        r"|geprüft|kümmere?n?|frage?n?|melde|melden|bescheid|weiter\w*|erledigt|in arbeit|leite"
        r"|nach(?:schauen|sehen|fragen)|moment(?:chen)?|regard(?:e|er|ons)|voir ce que|transm\w+|vérifi(?:e|er)"
        r"|occup(?:e|er|ons)|demand(?:e|er)|reviens|en cours|instant|miro|mirar\w*|mirando|revis\w+|verific\w+|ver"
        r"|pregunt\w+|en ello|trabajando|aviso|avisar\w*|te digo|minuto|momento"
        r"|take care|taken care|deal(?:ing|t)? with|handl(?:e|ed|ing)|on (?:my|our) radar|rolled out|sorted|brb"
        r"|(?:answer|reply|write) later|reviewing|testing|mache? ich|übernehme|probier\w*|teste|charge|au courant"
        r"|réunion|reunión|essaie|pruebo|probar\w*|encarg\w+|compr(?:obar|uebo)"
    ),
}
TRIGGERS = {reason: re.compile(rf"\b(?:{pattern})\b") for reason, pattern in _TRIGGERS.items()}
SOMEBODY = re.compile(
    r"@\S+|<[A-Z_]+>|#channel\b|\buser_[a-z2-7]{10}\b"
    r"|\b(?:the|our|your|their|das|die|den|dem|vom|l.|al|del|el)? ?(?:[\w-]+ ){0,2}"
    r"(?:team|folks|people|guys|vendor|devs|admins|tier \d|leute|kollegen)\b",
    re.I,
)
LETTERS = re.compile(r"[^\W\d_]+|\d{3,}")  # small numbers tell of minutes
MOST_WORDS, MOST_CHARACTERS = 18, 160
MOST_NAMED = 6  # more words of the matter than these are no name of a person or a team


def emptiness(sentence: str) -> str:
    """The reason why a sentence tells nothing, or "": `"On it, will update soon"` -> "deferred"."""
    if len(sentence) > MOST_CHARACTERS:
        return ""
    low = sentence.lower()
    others = sum(word not in WORDS for word in LETTERS.findall(low))
    if others > MOST_NAMED:
        return ""
    low = SOMEBODY.sub(" them ", low) if others else low
    words = LETTERS.findall(low)
    if not words or len(words) > MOST_WORDS or not WORDS.issuperset(words):
        return ""
    return next((reason for reason, pattern in TRIGGERS.items() if pattern.search(low)), "")
