"""What the rest asks of the operating system: paths, files that appear when whole, ffmpeg, packages."""
