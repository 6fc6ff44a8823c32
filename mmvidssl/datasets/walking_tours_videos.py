"""The ten videos of Walking Tours: what is known of each, and from where.

From the data set's card and its list WTour.txt (huggingface.co/datasets/shawshankvkt/Walking_Tours,
of January 2024, where the link of Wildlife was replaced once). Nothing was downloaded to check it:
not verified here are that the links still lead to these videos, each one's own licence, and the
durations that the card does not give (None).
"""

from typing import NamedTuple

LICENCE = 'CC-BY 4.0, by the card of the data set'
MIRROR = (
    'https://uvaauas.figshare.com/articles/dataset/Dora_WalkingTours_Dataset_ICLR_2024_/25189275'
)
SIZE, FPS = (3840, 2160), 60


class TourVideo(NamedTuple):
    """A video: its city, where it comes from, and minutes where they are known."""

    city: str
    url: str
    minutes: int | None = None

    @property
    def stem(self) -> str:
        """The name of its files, but for the suffix."""
        return self.city.lower().replace(' ', '_')


WALKING_TOURS = (
    TourVideo('Amsterdam', 'https://www.youtube.com/watch?v=E07rTPgIvn0'),
    TourVideo('Bangkok', 'https://www.youtube.com/watch?v=hUGcHvN4mME', 175),
    TourVideo('Chiang Mai', 'https://www.youtube.com/watch?v=jyxIRzlkO_g'),
    TourVideo('Istanbul', 'https://www.youtube.com/watch?v=mA9lYWyXMYU'),
    TourVideo('Kuala Lumpur', 'https://www.youtube.com/watch?v=yLTycPjm0nk'),
    TourVideo('Singapore', 'https://www.youtube.com/watch?v=aUJl46bEWYo'),
    TourVideo('Stockholm', 'https://www.youtube.com/watch?v=Jr9x-RB4E1U'),
    TourVideo('Venice', 'https://www.youtube.com/watch?v=fGX0Te6pFvk'),
    TourVideo('Zurich', 'https://www.youtube.com/watch?v=_NmYvuEILw4'),
    TourVideo('Wildlife', 'https://www.youtube.com/watch?v=Q0ML5oAjX_w', 59),
)
MINUTES = (59, 175)
"""Of the shortest and the longest; 98 on average."""
