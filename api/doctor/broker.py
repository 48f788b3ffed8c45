"""The broker: whether it answers, and keeps what it is given."""

from api.doctor.findings import Finding, fail, ok, warn
from tasks.broker import BrokerUnavailable
from tasks.broker_facts import BrokerFacts, broker_facts

UNANSWERED_ADVICE = "Start it or wake it up; until then jobs are accepted, and begin when it is back."
_SLOW_SECONDS = 0.05


def broker_findings(broker_url: str) -> list[Finding]:
    try:
        facts = broker_facts(broker_url)
    except BrokerUnavailable as exc:
        return [fail("broker", f"The broker does not answer ({exc}).", UNANSWERED_ADVICE)]
    if facts is None:
        return [ok("broker", "The broker is not of Redis's kind; only its own tools tell more.")]
    return [_speed(facts), _eviction(facts), _persistence(facts)]


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
