"""The broker: whether it answers, and keeps what it is given."""

from api.doctor.findings import Finding, fail, ok, warn
from tasks.broker import BrokerUnavailable
from tasks.broker_facts import BrokerFacts, broker_facts

UNANSWERED_ADVICE = "Start it or wake it up; until then jobs are accepted, and begin when it is back."
_SLOW_SECONDS = 0.05
_SCARCE_MEMORY = 0.8
_OLDEST_VERSION = (6, 2)


def broker_findings(broker_url: str) -> list[Finding]:
    try:
        facts = broker_facts(broker_url)
    except BrokerUnavailable as exc:
        return [fail("broker", f"The broker does not answer ({exc}).", UNANSWERED_ADVICE)]
    if facts is None:
        return [ok("broker", "The broker is not of Redis's kind; only its own tools tell more.")]
    return [_speed(facts), _eviction(facts), _persistence(facts), _writes(facts), _password(facts), *_version(facts)]


def _speed(facts: BrokerFacts) -> Finding:
    message = f"The broker (version {facts.version}) answers in {1000 * facts.latency_seconds:.1f} ms."
    if facts.latency_seconds > _SLOW_SECONDS:
        return warn("broker", message, "Look at its load and the network between; jobs begin later for it.")
    return ok("broker", message)


def _eviction(facts: BrokerFacts) -> Finding:
    policy = facts.eviction_policy
    advice = "Set `maxmemory-policy noeviction`: it may throw away messages that tell workers of jobs."
    if policy is None:
        return warn("broker_eviction", "The broker does not tell its eviction policy.", advice)
    if policy != "noeviction":
        return fail("broker_eviction", f"The broker's eviction policy is {policy}.", advice)
    return ok("broker_eviction", "The broker evicts nothing.")


def _persistence(facts: BrokerFacts) -> Finding:
    advice = "Set `appendonly yes`: after a restart without its data, jobs begin some seconds later. None is lost."
    if facts.keeps_data is None:
        return warn("broker_persistence", "The broker does not tell whether it keeps its data on disk.", advice)
    if not facts.keeps_data:
        return warn("broker_persistence", "The broker keeps nothing on disk.", advice)
    return ok("broker_persistence", "The broker keeps its data on disk.")


def _writes(facts: BrokerFacts) -> Finding:
    if facts.refuses_writes is not None:
        advice = "Point TURNOUT_BROKER_URL at the primary, or make room on its disk; until then jobs begin late or not."
        return fail("broker_writes", f"The broker {facts.refuses_writes}.", advice)
    if facts.memory_used is not None and facts.memory_used > _SCARCE_MEMORY:
        message = f"The broker uses {100 * facts.memory_used:.0f} % of its `maxmemory`."
        return warn("broker_writes", message, "Raise it, or look for what else lies there; full, it takes no messages.")
    return ok("broker_writes", "The broker takes writes.")


def _password(facts: BrokerFacts) -> Finding:
    advice = "Set `requirepass` there and the password in TURNOUT_BROKER_URL: who gets in can stop workers' commands."
    if facts.open_to == "network":
        return fail(
            "broker_password", "The broker lets in whoever reaches it over the network, without a password.", advice
        )
    if facts.open_to == "machine":
        return warn("broker_password", "The broker lets in every user of its machine, without a password.", advice)
    return ok("broker_password", "The broker asks for a password.")


def _version(facts: BrokerFacts) -> list[Finding]:
    numbers = tuple(int(part) for part in facts.version.split(".")[:2] if part.isdigit())
    if not numbers or numbers >= _OLDEST_VERSION:
        return []
    oldest = ".".join(map(str, _OLDEST_VERSION))
    message = f"The broker's version {facts.version} is older than {oldest}."
    return [warn("broker_version", message, "Use a newer one: nobody tests Turnout with such old ones.")]
