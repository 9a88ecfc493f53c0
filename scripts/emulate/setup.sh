# Sourced by run.sh: fetches Debian packages and wheels into $store once. Nothing is installed system-wide.
# shellcheck shell=bash disable=SC2154  # $store and $python are run.sh's

# Debian 13 has the first QEMU that shows ARM's /proc/cpuinfo (ONNX Runtime crashes without) and a Bochs with VNNI.
suite=trixie
guest_python=python3.13
guest_packages=(python3.13-minimal libpython3.13-stdlib libstdc++6 libgomp1)
bochs_packages=(bochs bochs-term bochsbios vgabios linux-image-amd64 isolinux syslinux-common xorriso busybox-static)

# apt-get for another suite and architecture, with state of its own: it reads and changes nothing of the host's.
_apt() { # ARCH WORDS...
    local state=$store/apt-$1 arch=$1 mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    shift
    if [[ ! -s $state/sources.list ]]; then
        mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Origin: Debian' 'Label: Debian' | head -n 1)}
        [[ $mirror ]] || { echo "No Debian mirror found: run \`apt-get update\`, or set DEBIAN_MIRROR." >&2; exit 2; }
        mkdir -p "$state/lists/partial" "$state/archives/partial"
        echo "deb [signed-by=$keyring arch=$arch] $mirror $suite main" >"$state/sources.list"
        _apt "$arch" -qq update
    fi
    apt-get -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o "Dir::State::lists=$state/lists" -o "Dir::Cache::archives=$state/archives" -o "Dir::Cache=$state" \
        -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o Dir::State::status=/dev/null \
        -o Debug::NoLocking=1 -o "APT::Sandbox::User=$(id -un)" "$@"
}

# $store/root-ARCH: the packages and what they depend on, unpacked but not configured.
need_root() { # ARCH PACKAGES...
    local arch=$1 root=$store/root-$1 mark deb
    shift
    mark=$root/.has-$1
    [[ -e $mark ]] && return
    echo "Fetching Debian packages ($arch: $*) ..." >&2
    _apt "$arch" -qq -y --download-only --no-install-recommends install "$@" >"$store/apt.log" 2>&1 ||
        { tail -n 5 "$store/apt.log" >&2; exit 1; }
    mkdir -p "$root"/usr/{bin,lib,lib64,sbin}
    for deb in bin lib lib64 sbin; do ln -sfn "usr/$deb" "$root/$deb"; done  # what the package base-files would do
    for deb in "$store/apt-$arch/archives"/*.deb; do dpkg-deb -x "$deb" "$root"; done
    rm -f "$store/apt-$arch/archives"/*.deb
    touch "$mark"
}

# $store/qemu: the user-mode emulators; they are linked statically.
need_qemu() {
    [[ -x $store/qemu/usr/bin/qemu-aarch64 ]] && return
    echo "Fetching qemu-user ..." >&2
    (cd "$store" && _apt amd64 -qq download qemu-user)
    dpkg-deb -x "$store"/qemu-user_*.deb "$store/qemu"
    rm -f "$store"/qemu-user_*.deb
}

# SITE: what stonnx needs to run a variant, in the versions of the native side.
need_site() { # ARCH SITE PACKAGES...
    local site=$2 machine=x86_64 tag platforms=() wanted
    [[ $1 == arm64 ]] && machine=aarch64
    shift 2
    wanted=$("$python" -c 'import sys; from importlib.metadata import version
print(*(f"{name}=={version(name)}" for name in sys.argv[1:]))' "$@")
    [[ -e $site/.wanted && $(<"$site/.wanted") == "$wanted" ]] && return
    for tag in manylinux_2_{35,34,31,28,27,17} manylinux2014; do platforms+=(--platform "${tag}_$machine"); done
    echo "Fetching wheels ($machine: $wanted) ..." >&2
    rm -rf "$site"
    # shellcheck disable=SC2086  # $wanted is a list of words
    "$python" -m pip install -qq --disable-pip-version-check --no-deps --no-compile --only-binary=:all: \
        --implementation cp --python-version "${guest_python#python}" "${platforms[@]}" --target "$site" $wanted
    echo "$wanted" >"$site/.wanted"
}
