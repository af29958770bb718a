"""`python -m norch --cmake-dir` prints where CMake's find_package(norch) looks (pass it as -Dnorch_DIR)."""

import argparse
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m norch", description="Facts about the installed norch.")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--cmake-dir", action="store_true", help="the folder of norchConfig.cmake")
    group.add_argument("--include-dir", action="store_true", help="the folder of the C++ headers")
    group.add_argument("--lib-dir", action="store_true", help="the folder of libnorch.so")
    group.add_argument("--version", action="store_true", help="the version number")
    arguments = parser.parse_args()

    package = Path(__file__).resolve().parent
    if arguments.version:
        import norch

        print(norch.__version__)
    elif arguments.cmake_dir:
        print(package / "lib" / "cmake" / "norch")
    elif arguments.include_dir:
        print(package / "include")
    else:
        print(package / "lib")


if __name__ == "__main__":
    main()
