"""Every directive of ldirectord.cf: None where the document has a place for it, else why it is not carried over."""

from collections.abc import Mapping

_MAIL = "clusterd sends no mail"
_PROGRAM = "clusterd runs no programs"
_LOGIN = "clusterd's checks do not log in"
_OWN = "it is about ldirectord's own process"

GLOBAL: Mapping[str, str | None] = {
    "checktimeout": None,
    "negotiatetimeout": None,
    "checkinterval": None,
    "failurecount": None,
    "fallback": None,
    "fork": None,
    "quiescent": None,
    "checkcount": "it is about ping checks, and clusterd has none",
    "readdquiescent": "clusterd keeps what the kernel has as the document says it",
    "fallback6": None,
    "fallbackcommand": _PROGRAM,
    "callback": _PROGRAM,
    "execute": "each file is imported by itself",
    "emailalert": _MAIL,
    "emailalertfrom": _MAIL,
    "emailalertfreq": _MAIL,
    "emailalertstatus": _MAIL,
    "smtp": _MAIL,
    "autoreload": "etcd tells the routers of every commit",
    "logfile": "clusterd logs to the journal",
    "supervised": _OWN,
    "cleanstop": "a router that stops hands over",
    "maintenancedir": "clusterd drain takes a server out",
}

VIRTUAL: Mapping[str, str | None] = {
    "real": None,
    "checktype": None,
    "service": None,
    "checkport": None,
    "request": None,
    "receive": None,
    "httpmethod": None,
    "virtualhost": None,
    "scheduler": None,
    "persistent": None,
    "netmask": None,
    "protocol": None,
    "checktimeout": None,
    "negotiatetimeout": None,
    "checkinterval": None,
    "failurecount": None,
    "fallback": None,
    "quiescent": None,
    "real6": None,
    "fallback6": None,
    "checkcount": GLOBAL["checkcount"],
    "checkcommand": None,
    "login": _LOGIN,
    "passwd": _LOGIN,
    "database": _LOGIN,
    "secret": _LOGIN,
    "load": "clusterd reads load by its own means",
    "fallbackcommand": _PROGRAM,
    "emailalert": _MAIL,
    "emailalertfreq": _MAIL,
    "emailalertstatus": _MAIL,
    "smtp": _MAIL,
    "monitorfile": "clusterd logs to the journal",
    "cleanstop": GLOBAL["cleanstop"],
    "ops": None,
}

# What asks for nothing, so that nothing is lost.
NOTHING = {("autoreload", "no"), ("autoreload", "yes"), ("supervised", "no"), ("cleanstop", "yes")}
NOTHING |= {("readdquiescent", "no"), ("checkcount", "1"), ("checkcommand", "/bin/true"), ("emailalertfreq", "0")}

# What ldirectord takes a virtual server on a port for, unless `service` says it.
SERVICE_BY_PORT = {
    21: "ftp",
    25: "smtp",
    53: "dns",
    80: "http",
    110: "pop",
    119: "nntp",
    143: "imap",
    389: "ldap",
    443: "https",
    587: "submission",
    993: "imaps",
    995: "pops",
    1521: "oracle",
    1812: "radius",
    3128: "http_proxy",
    3306: "mysql",
    5060: "sip",
    5432: "pgsql",
}
SERVICES = (*SERVICE_BY_PORT.values(), "none", "simpletcp")
CHECKTYPES = ("connect", "negotiate", "ping", "on", "off", "external", "external-perl")
WAYS = {"masq": "nat", "gate": "direct", "ipip": "tunnel"}
