#!/usr/bin/env bash
# Builds what runs with every glibc from 2.28 on: tarball, RPM and Debian packages, for one architecture.  Called by
# scripts/package --portable in a Debian 11 system that has the tree at /mnt/freeonce; the results are in /mnt/packages.
# Two builds of one tree are equal to the bit.  Usage: portable.sh x86_64|aarch64
set -euo pipefail

readonly tree=/mnt/freeonce build=/mnt/build stage=/mnt/stage out=/mnt/packages
readonly arch=$1
case $arch in
    x86_64) debian=amd64 triplet=x86_64-linux-gnu ;;
    aarch64) debian=arm64 triplet=aarch64-linux-gnu ;;
    *) echo "no architecture $arch: x86_64 or aarch64" >&2 && exit 2 ;;
esac
version=$(sed -n 's/^project(freeonce VERSION \([0-9.]*\).*/\1/p' "$tree/CMakeLists.txt")
export LC_ALL=C.UTF-8 TZ=UTC
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(dpkg-parsechangelog -l "$tree/debian/changelog" -S Timestamp)}
export SOURCE_DATE_EPOCH
umask 022

cross=()
if [[ $(dpkg --print-architecture) != "$debian" ]]; then
    cross=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$arch" -DCMAKE_C_COMPILER="$triplet-gcc"
        -DCMAKE_LIBRARY_ARCHITECTURE="$triplet")
    export PKG_CONFIG_LIBDIR=/usr/lib/$triplet/pkgconfig:/usr/share/pkgconfig
fi

# The command has jansson and libdw in it: their licences go with it.
put_licences() {
    local package
    for package in libjansson-dev libdw-dev libelf-dev libbz2-dev liblzma-dev zlib1g-dev; do
        printf '\n=== %s ===\n\n' "${package%-dev}"
        cat "/usr/share/doc/$package/copyright"
    done
}

build_and_stage() {
    cmake -S "$tree" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=OFF -DFREEONCE_WERROR=OFF \
        -DFREEONCE_STATIC=ON -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_LIBDIR=lib "${cross[@]}"
    cmake --build "$build"
    DESTDIR=$stage cmake --install "$build" --strip
    install -m 644 "$tree/LICENSE" "$stage/usr/share/doc/freeonce/LICENSE"
    put_licences >"$stage/usr/share/doc/freeonce/LICENCES-OF-LIBRARIES"
    find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

make_tarball() {
    local name=freeonce-$version-linux-$arch
    mkdir -p "$out/$name" && cp -a "$stage/usr/." "$out/$name"
    # pkg-config knows where its file lies.
    # shellcheck disable=SC2016 # pkg-config's variable
    sed -i 's|^prefix=.*|prefix=${pcfiledir}/../..|' "$out/$name/lib/pkgconfig/freeonce.pc"
    tar -C "$out" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$name" |
        gzip -n -9 >"$out/$name.tar.gz"
    rm -r "${out:?}/$name"
}

make_rpm() {
    rpmbuild -bb --quiet --target "$arch-linux" --define "_topdir /mnt/rpm" --define "_rpmdir $out" \
        --define '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
        --define "freeonce_version $version" --define "freeonce_stage $stage" "$tree/packaging/freeonce.spec"
}

make_debs() {
    local native=(-a "$debian")
    ((${#cross[@]} != 0)) || native=()
    # Those for another architecture are looked for among that architecture's packages; make_root installed them.
    (cd "$tree" && env -u PKG_CONFIG_LIBDIR DEB_BUILD_OPTIONS='noautodbgsym nocheck' dpkg-buildpackage -us -uc -b -d "${native[@]}")
    mv /mnt/*.deb "$out"
}

rm -rf "$build" "$stage" "$out" /mnt/rpm
mkdir -p "$stage" "$out"
build_and_stage
make_tarball
make_rpm
make_debs
