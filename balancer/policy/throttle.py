"""Whether to send a call at all: a caller that is refused nearly everything stops asking.

A refusal costs the service little, but not nothing: a service that is asked for ten times what it
can do spends itself on saying no. So each caller watches how much of what it wants is accepted, and
above K times that fails calls by itself, with the probability

    p = max(0, (requests - K * accepts) / (requests + 1))

``requests`` are the calls that the application wanted, those that were failed here among them;
``accepts`` those that were not refused for lack of room. What is sent settles at K times what is
accepted: at K = 2 a caller wastes at most one refusal for each accepted call, and a service with
room again is noticed at once, because that much more than it took is always being offered.
Only answered calls count, when their answer comes: a burst on its way is no refusal.

The book's window of two minutes is for a fleet of thousands of tasks; here a short one is better,
because what was refused in an overload is held against the service until it is forgotten. The
window slides, so that this takes as long as the window and hardly longer. Say five times the
capacity C was asked for a while: p is (5 - 2) / 5 = 0.6. The load falls to 0.7 C, of which 0.4 are
sent and all accepted; once the overload has left the window, p is at most 1 - 2 * 0.4 = 0.2, and
what comes of that makes it nought. With 2 s, calls are whole again in the third second.

A service that refused everything is another matter, as there is nothing accepted to grow from. So
5 % of the calls are always sent; what they bring back doubles about once a second (0.43 windows),
which makes 4 s to all of them.

Source: Google SRE book, chapter 21, "Client-side throttling".
"""

from __future__ import annotations

from ..config import Settings

# The window moves in this many steps: finer ones gain nothing, as a step is then 0.2 s.
_STEPS = 10
# Fewer calls than this in a window can hurt nobody and prove nothing: three refusals in a quiet
# minute must not fail the fourth call. With 20 and a service that refuses three in ten, more than
# half are refused in one window of fifty.
_LEAST = 20
# The most that is failed here. Without it a caller of 1,000 calls a second whom everything was
# refused would send one call in two seconds, and need ten to find out that all is well again.
_MOST = 0.95


class ThrottleSettings(Settings, frozen=True, kw_only=True):
    """When calls are failed here, because the service refuses nearly all.

    Attributes:
        k: calls are sent up to this many times what the service accepts; 0 for never failing any.
            2 is the book's: 1 would hold back what the service could have taken.
        window_s: what is older is forgotten, in seconds. Two are many calls for whoever makes
            enough to do harm, and short beside the time in which people notice.
    """

    k: float = 2.0
    window_s: float = 2.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.k and not self.k >= 1:
            raise ValueError("k is at least 1, or 0 for never: below 1 well services are throttled")
        if not self.window_s > 0:
            raise ValueError("window_s must be above 0")


class Throttle:
    """One service's recent calls from this process, and what share of the next is not sent.

    Attributes:
        refusing: whether any call in the window was refused. While not, there is nothing to decide,
            and `admits` need not be asked.
    """

    __slots__ = (
        "_accepts",
        "_k",
        "_past",
        "_step_s",
        "_turn_at",
        "_turned_accepts",
        "_turned_wasted",
        "_wasted",
        "refusing",
    )

    def __init__(self, settings: ThrottleSettings, now: float) -> None:
        """Begin with nothing known.

        Args:
            settings: when to fail calls.
            now: monotonic seconds.
        """
        self._k = settings.k
        self._step_s = settings.window_s / _STEPS
        # Sums over the window: calls that were accepted, and those that were not (refused there,
        # or failed here).
        self._accepts = 0
        self._wasted = 0
        # The sums as they stood at the last turn, and what each past step has added to them.
        self._turned_accepts = 0
        self._turned_wasted = 0
        self._past = [(0, 0)] * (_STEPS - 1)
        self._turn_at = now + self._step_s
        self.refusing = False

    def accepted(self, now: float) -> None:
        """Count a call that was taken, whatever came of it. Cost: an addition and a comparison."""
        self._accepts += 1
        if now >= self._turn_at:
            self._turn(now)

    def refused(self, now: float) -> None:
        """Count a call that was refused for lack of room."""
        if now >= self._turn_at:
            self._turn(now)
        self._wasted += 1
        self.refusing = self._k > 0

    def share(self, now: float) -> float:
        """The share of the calls that is not to be sent now, from 0 to 1."""
        if now >= self._turn_at:
            self._turn(now)
        requests = self._accepts + self._wasted
        if requests < _LEAST or not self.refusing:
            return 0.0
        return min(max(0.0, (requests - self._k * self._accepts) / (requests + 1)), _MOST)

    def admits(self, now: float, random: float) -> bool:
        """Whether to send a call; one that is not is counted as wanted.

        Args:
            now: monotonic seconds.
            random: a float in [0, 1).
        """
        if random >= self.share(now):
            return True
        self._wasted += 1
        return False

    def _turn(self, now: float) -> None:
        """Go on to the step that runs now: what is older than the window is taken off."""
        steps = int((now - self._turn_at) / self._step_s) + 1
        for _ in range(min(steps, _STEPS)):
            self._past.append(
                (self._accepts - self._turned_accepts, self._wasted - self._turned_wasted)
            )
            accepts, wasted = self._past.pop(0)
            self._turned_accepts = self._accepts = self._accepts - accepts
            self._turned_wasted = self._wasted = self._wasted - wasted
        self.refusing = self._wasted > 0 and self._k > 0
        self._turn_at += steps * self._step_s
