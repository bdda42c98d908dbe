"""Convert a service's answer to a Job. These functions send no request."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from videostat.models import Job, State
from videostat.polling import course
from videostat.providers import reading
from videostat.providers.base import Meaning

if TYPE_CHECKING:
    from videostat.providers.base import Answer, Provider


def understand(answer: Answer, job: Job, provider: Provider) -> Job:
    """Read an answer as a job; raises the VideostatError that another answer stands for."""
    endpoint = provider.video if job.needs_url and provider.video else provider.job
    meaning, sure, task = course.read(answer, provider, endpoint, job.ref.id)
    if task is None:
        raise course.make_error(answer, provider, meaning, job.ref.id, sure=sure)
    found = replace(endpoint.parse(job.ref, task), seen_at=answer.received_at)
    if endpoint.is_video:
        return _add_video(job, reading.add_video(found, task))
    found = replace(reading.apply_state(found, task, provider.words), sure=sure)
    kept, since = provider.retention.get(found.state), found.completed_at or found.created_at
    advice = provider.hints.get(Meaning.FAILED) if found.state is State.FAILED else None
    found = replace(found, kept_until=since + kept if since and kept else None, advice=advice)
    return replace(found, needs_url=True, error=None) if provider.video and found.state is State.SUCCEEDED else found


def complete_urls(job: Job, base_url: str) -> Job:
    """Complete the URLs of a job with the base URL.

    A gateway writes relative URLs, or internal ones of its own host. A URL that was complete comes before one that had
    to be completed.
    """
    urls = [(url, _complete_url(url, base_url)) for url in (job.video_url, *job.alternative_urls) if url]
    first, *others = dict.fromkeys(whole for _, whole in sorted(urls, key=lambda each: each[0] != each[1])) or [None]
    return replace(
        job,
        video_url=first,
        alternative_urls=tuple(each for each in others if each),
        further_urls=tuple(_complete_url(url, base_url) for url in job.further_urls),
        thumbnail_url=job.thumbnail_url and _complete_url(job.thumbnail_url, base_url),
    )


def _complete_url(url: str, base_url: str) -> str:
    base = urlsplit(base_url)
    home = f"{base.scheme}://{base.netloc}"
    if url.startswith("/"):
        return f"{base.scheme}:{url}" if url.startswith("//") else home + url
    parts = urlsplit(url)
    is_lost = _is_loopback(parts.hostname) and not _is_loopback(base.hostname)
    is_home = parts.hostname == base.hostname and parts.scheme == "http" and base.scheme == "https"
    if is_lost or (is_home and parts.netloc.rpartition(":")[2] in {parts.netloc, "80", "443"}):
        return home + url.partition("://")[2][len(parts.netloc) :]
    return url


def _is_loopback(host: str | None) -> bool:
    try:
        address = ip_address(host or "")
    except ValueError:
        return (host or "").rstrip(".").endswith("localhost")
    return address.is_loopback or address.is_unspecified


def _add_video(job: Job, found: Job) -> Job:
    return replace(
        job,
        state=State.SUCCEEDED,
        video_url=found.video_url,
        alternative_urls=found.alternative_urls,
        further_urls=found.further_urls,
        expires_at=found.expires_at,
        seen_at=found.seen_at,
        needs_url=False,
    )
