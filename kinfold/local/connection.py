"""Commands connect by themselves to what runs on this machine for their profile.

Only where no AWS_ENDPOINT_URL says otherwise, and only by a file of the command's own profile
(``kinfold.local.running``): a command of another profile, which is for AWS itself, never finds itself at an emulator.
"""

import os

from kinfold.choices import DEFAULT_PROFILE
from kinfold.local.running import Running, look
from ledger.errors import EndpointError
from ledger.runtime.cli_output import tell


def connect() -> Running | None:
    """Point this process's environment at what runs for its profile; gives what that is.

    An explicit AWS_ENDPOINT_URL wins: then nothing changes, and what runs is given only if it is there.
    KINFOLD_... settings that the services were given are ours too, unless they are set otherwise. What was left by a
    process that is gone is ignored, and that is said.

    Raises EndpointError while it starts.
    """
    profile = os.environ.get("KINFOLD_PROFILE", DEFAULT_PROFILE)
    given = os.environ.get("AWS_ENDPOINT_URL")
    found = _found(profile, quiet=bool(given))
    if found is None or found.endpoint is None:
        return None
    if given:
        return found if given.rstrip("/") == found.endpoint.rstrip("/") else None
    from kinfold.local.environment import ACCESS_KEY, pointed_at
    from ledger.runtime.sockets import is_loopback_url

    env = {**found.settings, **os.environ, "AWS_REGION": found.region}
    if is_loopback_url(found.endpoint):
        # The account of the services, and of nobody else.
        env[ACCESS_KEY] = found.settings.get(ACCESS_KEY, "")
    env = pointed_at(found.endpoint, env)
    for name in os.environ.keys() - env.keys():
        del os.environ[name]
    os.environ.update(env)
    if profile != DEFAULT_PROFILE:
        # Without it the command would be AWS's own, so whoever meant that has to see it.
        tell(f"on {found.endpoint}, of {found}")
    return found


def _found(profile: str, *, quiet: bool) -> Running | None:
    seen = [look("up", profile), look("aws", profile)]
    ready = [each.running for each in seen if each.running is not None and each.running.endpoint is not None]
    if ready:
        return ready[0]
    if quiet:
        return None
    for each in seen:
        if each.running is not None:
            raise EndpointError(f"{each.running} is still starting: try again once it has shown its URLs")
        if each.ignored is not None:
            tell(each.ignored)
    return None
