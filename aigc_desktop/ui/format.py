"""Numbers as people read them: times, counts and dates in the language in use."""

from __future__ import annotations

from datetime import datetime, timedelta

from aigc_desktop.core.i18n import _, language, ngettext


def readable_time(seconds: float) -> str:
    """Return a duration with the precision one needs: 8 s, 4 min, 1 h 20 min, 2 d 3 h."""
    if seconds < 0.5:
        return _("under 1 s")
    if seconds < 60:
        return _("{seconds} s").format(seconds=round(seconds))
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("{minutes} min").format(minutes=minutes)
    if minutes < 24 * 60:
        return _("{hours} h {minutes} min").format(hours=minutes // 60, minutes=minutes % 60)
    return _("{days} d {hours} h").format(days=minutes // 1440, hours=minutes % 1440 // 60)


def readable_count(count: float) -> str:
    """Return a large count with the units of the language in use: 812, 12.4 K, 3.1 M, 1.2 B; in Chinese 1.24 万."""
    if count < 1e4:
        return f"{count:,.0f}"
    units = ((1e8, "亿"), (1e4, "万")) if language() == "zh_CN" else ((1e9, "B"), (1e6, "M"), (1e3, "K"))
    size, unit = next((size, unit) for size, unit in units if count >= size)
    return f"{count / size:.3g} {unit}" if count / size < 999.5 else f"{count / size:,.0f} {unit}"


def readable_date(iso: str) -> str:
    """Return a moment, given as ISO text, relative to now when it is near: "5 minutes ago", "2026-11-23 14:05"."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    age = datetime.now(moment.tzinfo) - moment
    if timedelta(0) <= age < timedelta(minutes=1):
        return _("just now")
    if timedelta(0) <= age < timedelta(hours=1):
        minutes = int(age.total_seconds() // 60)
        return ngettext("{count} minute ago", "{count} minutes ago", minutes).format(count=minutes)
    if timedelta(0) <= age < timedelta(hours=20):
        hours = int(age.total_seconds() // 3600)
        return ngettext("{count} hour ago", "{count} hours ago", hours).format(count=hours)
    return f"{moment:%Y-%m-%d %H:%M}"
