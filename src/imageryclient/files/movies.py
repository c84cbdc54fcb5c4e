"""Movies: pictures one after another as MP4, WebP or GIF, with what they show said in the file.

MP4 is H.264 in the form that every browser and slide program plays (4:2:0, even sides, colours of BT.709 that are also
said to be so, the index in front). WebP has colours likewise at half the detail, and keeps transparency. GIF has 256
colours in each picture, exact where there are no more, and times in hundredths of a second. What a movie shows is in
the comment of MP4 and GIF, and in the XMP of WebP.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from html import escape, unescape
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ArgumentError, FormatError, MissingExtraError
from .export import atomic_file
from .record import Record

__all__ = ["FASTEST", "MOVIES", "check_movie", "movie_text", "save_movie"]

MOVIES = (".mp4", ".webp", ".gif")
FASTEST = {".mp4": 240, ".webp": 240, ".gif": 50}  # pictures in a second
_ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf", "mpeg4")  # the first that there is
_QUALITY = {"libx264": {"crf": "16", "preset": "medium"}}  # near to what the eye can tell; of others by bits
_BITS_PER_PIXEL = 1.5
_WEBP_QUALITY = 92
_BT709, _LIMITED = 1, 1  # numbers of ITU-T H.273 for the matrix, primaries and transfer, and of FFmpeg for the range
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:imageryclient="https://pypi.org/project/imageryclient/">'
    "<imageryclient:record>{record}</imageryclient:record></rdf:Description></rdf:RDF></x:xmpmeta>"
)
_IN_XMP = re.compile("<imageryclient:record>(.*?)</imageryclient:record>", re.DOTALL)


def save_movie(
    frames: Iterable[Image.Image],
    path: str | PathLike[str],
    fps: float = 10.0,
    *,
    record: Record | None = None,
    background: Any = "black",
) -> Path:
    """Write pictures as a movie, which is complete or not there.

    Parameters
    ----------
    frames : iterable of PIL.Image.Image
        The pictures, all of one size; an iterator is gone through once. For MP4 they are not held in memory, for WebP
        and GIF they are, compressed.
    path : str or path
        Where to: `.mp4`, `.webp` or `.gif`.
    fps : float
        Pictures in a second. GIF shows at most 50.
    record : Record, optional
        What the movie shows, for the file to say.
    background : colour
        What lies behind transparent pixels in MP4 and GIF; WebP keeps them transparent.

    Returns
    -------
    pathlib.Path
        The file. Sides with an odd number of pixels are longer by one in MP4: the last row or column twice.

    Raises
    ------
    ArgumentError
        If there are no pictures, they differ in size, or an argument makes no sense.
    NotFoundError
        If the folder does not exist.
    MissingExtraError
        For MP4, if av is not installed.

    Examples
    --------
    >>> import tempfile
    >>> shades = (Image.new("L", (64, 48), grey) for grey in range(0, 250, 50))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Image.open(save_movie(shades, Path(folder, "fade.gif"), fps=5)) as movie:
    ...         movie.n_frames, movie.size, movie.info["duration"]
    (5, (64, 48), 200)
    """
    target = Path(path)
    suffix = target.suffix.lower()
    rate = check_movie(target, fps)
    pictures = _alike(frames)
    with atomic_file(target) as temporary:
        if suffix == ".mp4":
            _write_mp4((_flat(one, background) for one in pictures), temporary, rate, record)
        elif suffix == ".webp":
            _write_webp(pictures, temporary, rate, record)
        else:
            _write_gif((_flat(one, background) for one in pictures), temporary, rate, record)
    return target


def movie_text(file: Path) -> str | None:
    """Give what a movie says of itself, as JSON; None where it says nothing.

    Raises
    ------
    FormatError
        If the file is damaged.
    MissingExtraError
        For MP4, if av is not installed.
    """
    if _is_mp4(file):
        av = _av()
        try:
            with av.open(str(file)) as container:
                comment = container.metadata.get("comment")
        except av.error.FFmpegError as error:
            raise FormatError(f"{file.name} is damaged: {error}") from None
        return None if comment is None else str(comment)
    try:
        with Image.open(file) as picture:
            said = picture.info.get("xmp") if picture.format == "WEBP" else picture.info.get("comment")
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(f"{file.name} is damaged: {error}") from None
    if said is None:
        return None
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    found = _IN_XMP.search(text)
    return unescape(found[1]) if found else text


def check_movie(path: Path, fps: float) -> Fraction:
    """Give the pictures in a second of a movie that can be written.

    Raises
    ------
    ArgumentError
        If it cannot, as there is no such kind of movie or none so fast.
    """
    suffix = path.suffix.lower()
    if suffix not in MOVIES:
        raise ArgumentError(f"a movie is saved as .mp4, .webp or .gif; got {path.name!r}")
    try:
        rate = Fraction(fps).limit_denominator(1001)
    except (TypeError, ValueError, OverflowError):
        rate = Fraction(0)
    most = FASTEST[suffix]
    if not 0 < rate <= most:
        raise ArgumentError(f"fps is a number of pictures in a second, at most {most} in {suffix}; got {fps!r}")
    return rate


def _alike(frames: Iterable[Image.Image]) -> Iterator[Image.Image]:
    """Give the pictures on, making sure of their sizes; the first is made before this returns."""
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise ArgumentError("a movie needs at least one picture; got none")
    return itertools.chain([first], (_checked(n, one, first) for n, one in enumerate(pictures, 1)))


def _checked(number: int, picture: Image.Image, first: Image.Image) -> Image.Image:
    if picture.size != first.size:
        raise ArgumentError(
            f"the pictures of a movie share one size; the first has {first.size} pixels, number {number} {picture.size}"
        )
    return picture


def _flat(picture: Image.Image, background: Any) -> Image.Image:
    """Give an opaque RGB picture."""
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    from ..painting.color import rgb_bytes

    above = picture.convert("RGBA")
    below = Image.new("RGBA", above.size, (*rgb_bytes([background])[0].tolist(), 255))
    return Image.alpha_composite(below, above).convert("RGB")


def _durations(rate: Fraction, unit: int) -> Iterator[int]:
    """Give how long each picture stays, in ms, as a whole number of `unit`; no rounding adds up."""
    for n in itertools.count():
        yield unit * (round((n + 1) * 1000 / rate / unit) - round(n * 1000 / rate / unit))


# ---- MP4 ----------------------------------------------------------------------------------------------------------


def _av() -> Any:
    try:
        import av
        import av.error
    except ImportError:
        raise MissingExtraError("MP4 needs av: pip install 'imageryclient[video]'") from None
    return av


def _is_mp4(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(12)[4:8] == b"ftyp"


def _write_mp4(frames: Iterator[Image.Image], path: Path, rate: Fraction, record: Record | None) -> None:
    av = _av()
    encoder = next((name for name in _ENCODERS if name in av.codecs_available and _encodes(av, name)), None)
    if encoder is None:
        raise MissingExtraError("this av has no encoder for MP4: pip install --upgrade 'imageryclient[video]'")
    first = next(frames)
    width, height = ((side + 1) // 2 * 2 for side in first.size)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        if record is not None:
            container.metadata["title"] = record.describe()
            container.metadata["comment"] = record.to_json()
        stream = container.add_stream(encoder, rate=rate, options=_QUALITY.get(encoder, {}))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if encoder not in _QUALITY:
            stream.bit_rate = max(200_000, round(width * height * float(rate) * _BITS_PER_PIXEL))
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        for picture in itertools.chain([first], frames):
            container.mux(stream.encode(_video_frame(av, picture, width, height)))
        container.mux(stream.encode(None))


def _encodes(av: Any, name: str) -> bool:
    try:
        av.codec.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _video_frame(av: Any, picture: Image.Image, width: int, height: int) -> Any:
    pixels: NDArray[np.uint8] = np.asarray(picture)
    if pixels.shape[:2] != (height, width):
        pixels = np.pad(pixels, ((0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    # of each 2 x 2 pixels the mean colour
    return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", interpolation="AREA")


# ---- WebP and GIF -------------------------------------------------------------------------------------------------


def _write_webp(frames: Iterator[Image.Image], path: Path, rate: Fraction, record: Record | None) -> None:
    pictures = [_lean(picture) for picture in frames]
    said: dict[str, Any] = {}
    if any(picture.mode == "RGBA" for picture in pictures):
        said |= {"kmin": 0, "kmax": 1}  # whole pictures: of parts, readers take what is transparent for black
    if record is not None:
        said["xmp"] = _XMP.format(record=escape(record.to_json(), quote=False)).encode("utf-8")
    durations = list(itertools.islice(_durations(rate, 1), len(pictures)))
    pictures[0].save(
        path,
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=durations,
        loop=0,
        quality=_WEBP_QUALITY,
        method=4,
        **said,
    )


def _lean(picture: Image.Image) -> Image.Image:
    """Give a picture without the opacity that it does not need."""
    clear = "A" in picture.getbands() and picture.getchannel("A").getextrema()[0] != 255
    return picture.convert("RGBA" if clear else "RGB")


def _write_gif(frames: Iterator[Image.Image], path: Path, rate: Fraction, record: Record | None) -> None:
    pictures = [picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE) for picture in frames]
    said = {} if record is None else {"comment": record.to_json().encode("ascii")}
    durations = list(itertools.islice(_durations(rate, 10), len(pictures)))
    pictures[0].save(
        path, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=False, **said
    )
