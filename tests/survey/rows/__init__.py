"""All services of the survey, a row each."""

from . import databases, dns, files, http, languages, mail, others, proxies, python

SERVICES = [
    *http.SERVICES, *proxies.SERVICES, *languages.SERVICES, *python.SERVICES,
    *databases.SERVICES, *mail.SERVICES, *files.SERVICES, *dns.SERVICES, *others.SERVICES,
]  # fmt: skip
