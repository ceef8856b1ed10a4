#!/bin/sh
# Lays out what a guest of tests/hil is started from: prepare.sh FOLDER amd64|arm64
#
# Debian's stock kernel and the modules that the guest loads. For amd64 gpio-sim too, which Debian
# does not build, made from Debian's own source of the same version; for arm64 the device trees, and
# a busybox and the libraries that this machine has not. Nothing is installed on this machine, nor is
# an architecture added to its dpkg: packages are downloaded and opened in FOLDER. Prints the folder
# of the kernel's version as its last line.
set -eu

cache=$1
arch=$2
script=$0
METAPACKAGE=linux-image-6.12-$arch
# What the guest needs beside what is built in; depended-on modules come with them, in order.
case $arch in
  amd64) MODULES='configfs xhci_pci ftdi_sio usbhid hid_generic evdev i6300esb i2c-dev ti-ads1015 ds2482' ;;
  # dwc2 with its transceiver is the Raspberry Pi's USB; without bcm2835_wdt a Pi cannot power off.
  arm64) MODULES='xhci_pci phy-generic dwc2 ftdi_sio usbhid hid_generic bcm2835_wdt' ;;
esac
# What Deno and the npm packages' own code are linked to.
LIBRARIES_arm64='libc6 libgcc-s1 libstdc++6 libudev1 libcap2 libusb-1.0-0'

say() { printf 'hil: %s\n' "$*" >&2; }

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
# apt for another architecture, with the sources of this machine and a state of its own.
if [ "$arch" != "$(dpkg --print-architecture)" ]; then
  apt=$cache/apt-$arch
  mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
  : >"$apt/status"
  cat >"$apt/apt.conf" <<EOF
APT::Architecture "$arch";
APT::Architectures "$arch";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
EOF
  export APT_CONFIG="$apt/apt.conf"
fi

image_of() { apt-cache depends "$METAPACKAGE" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1; }

find_image() {
  image=$(image_of)
  release=${image#linux-image-}
  version=${release%-"$arch"}
  # The text of this script is part of the result's name.
  out=$cache/$release-$(cksum <"$script" | cut -d' ' -f1)
}

find_image
if [ -n "$image" ] && [ -f "$out/ready" ]; then
  echo "$out"
  exit 0
fi
# What is to be downloaded must be what the mirror has today.
apt-get -qq update >&2
find_image
[ -n "$image" ] || { say "apt knows no $METAPACKAGE (Debian's bookworm-security has it)"; exit 1; }

say "preparing Linux $release, once"
work=$(mktemp -d "$cache/prepare.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
# apt drops its rights to download; it must reach the folder, or it warns.
chmod 755 "$work"
cd "$work"
mkdir debs root result result/modules

open_packages() { # FOLDER PACKAGE…
  folder=$1
  shift
  (cd debs && apt-get -qq download "$@") >&2
  for deb in debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder"
  done
  rm -f debs/*.deb
}

case $arch in
  amd64)
    # Of the source only the packed tree is read; of the image the whole.
    open_packages root "$image" "linux-headers-$release" "linux-headers-$version-common" \
      "linux-kbuild-$version" linux-source-6.12
    headers=$work/root/usr/src/linux-headers-$release
    # The headers name their common part and kbuild by absolute paths, as if installed.
    sed -i "s#/usr/src/linux-headers#$work/root/usr/src/linux-headers#g" "$headers/Makefile"
    tree=linux-source-6.12
    tar -xf "root/usr/src/$tree.tar.xz" "$tree/scripts/extract-vmlinux" "$tree/kernel/irq/irq_sim.c" \
      "$tree/drivers/gpio/gpio-sim.c"
    "$tree/scripts/extract-vmlinux" "root/boot/vmlinuz-$release" >result/kernel

    mkdir gpio-sim
    cp "$tree/kernel/irq/irq_sim.c" "$tree"/drivers/gpio/* gpio-sim/
    # irq_to_desc is not exported to modules; the interrupt's data leads to the same descriptor.
    sed -i 's/irq_to_desc(\([^()]*\))/irq_data_to_desc(irq_get_irq_data(\1))/' gpio-sim/irq_sim.c
    # Two modules of one folder: irq_sim exports what gpio-sim imports.
    printf 'obj-m := gpio-sim-hil.o\ngpio-sim-hil-y := gpio-sim.o irq_sim.o\nccflags-y := -DCONFIG_IRQ_SIM=1\n' >gpio-sim/Makefile
    # Type data of modules needs a program more, and nothing here reads it.
    make -s -C "$headers" M="$work/gpio-sim" CONFIG_DEBUG_INFO_BTF_MODULES= modules >make.log 2>&1 || { tail -n 30 make.log >&2; exit 1; }
    cp gpio-sim/gpio-sim-hil.ko result/modules/
    ;;
  arm64)
    # shellcheck disable=SC2086 # one package a word
    open_packages result $LIBRARIES_arm64 busybox-static
    # Character sets, documents and the like.
    rm -rf result/etc result/usr/share result/usr/lib/*/gconv
    open_packages root "$image"
    # An arm64 kernel is not packed; the loader hands it over as it is.
    cp "root/boot/vmlinuz-$release" result/kernel
    cp -r "root/usr/lib/linux-image-$release/broadcom" result/device-trees
    ;;
esac

PATH=$PATH:/usr/sbin:/sbin
depmod -b root "$release"
: >result/modules/order
for module in $MODULES; do
  modprobe -d root -S "$release" --show-depends "$module" >show
  sed -n 's/^insmod \([^ ]*\).*/\1/p' show
done | awk '!seen[$0]++' | while read -r file; do
  name=$(basename "$file")
  cp "$file" result/modules/
  case $name in *.xz) xz -d "result/modules/$name" && name=${name%.xz} ;; esac
  echo "$name" >>result/modules/order
done
if [ "$arch" = amd64 ]; then echo gpio-sim-hil.ko >>result/modules/order; fi
# Whoever loads this one says which chips it has.
if [ "$arch" = amd64 ]; then
  xz -dc "root/lib/modules/$release/kernel/drivers/i2c/i2c-stub.ko.xz" >result/modules/i2c-stub.ko
fi
touch result/ready
rm -rf "$out"
mv result "$out"
echo "$out"
