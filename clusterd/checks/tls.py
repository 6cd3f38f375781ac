"""Can TLS be begun, and how long is the certificate still valid?"""

from datetime import UTC, datetime

from cryptography import x509

from clusterd.checks.dialogue import Dialogue, Encrypt, Place
from clusterd.health import Observation
from clusterd.model import TlsCheck

_DAY_S = 86400


def talk(place: Place, check: TlsCheck) -> Dialogue:
    """Begin TLS, and look at the certificate."""
    certificate = yield Encrypt(check.server_name, check.verify, check.ca_file)
    return judged(certificate, check.days, place.now_s)


def judged(certificate: bytes, days: int, now_s: float) -> Observation:
    """Return whether a certificate (DER) is valid for so many days from `now_s` (UTC) on."""
    try:
        until = x509.load_der_x509_certificate(certificate).not_valid_after_utc
    except ValueError as error:
        return Observation(False, f"its certificate cannot be read: {error}")
    left = (until - datetime.fromtimestamp(now_s, UTC)).total_seconds() / _DAY_S
    if left < 0:
        return Observation(False, f"its certificate was valid until {until:%Y-%m-%d}")
    if left < days:
        return Observation(False, f"its certificate is valid for {left:.1f} more days, expected {days}")
    return Observation(True, f"its certificate is valid until {until:%Y-%m-%d}")
