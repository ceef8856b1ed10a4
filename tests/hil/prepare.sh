#!/bin/sh
# Lays out what the guest of tests/hil is started from: prepare.sh FOLDER
#
# Debian's stock kernel, the modules that the guest loads, and gpio-sim, which Debian does not build,
# made from Debian's own source of the same version. Nothing is installed on this machine: packages
# are downloaded and opened in FOLDER. Prints the folder of the kernel's version as its last line.
set -eu

cache=$1
METAPACKAGE=linux-image-6.12-amd64
# What the guest needs beside what is built in; depended-on modules come with them, in order.
MODULES='configfs xhci_pci ftdi_sio'

say() { printf 'hil: %s\n' "$*" >&2; }

image=$(apt-cache depends "$METAPACKAGE" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
if [ -z "$image" ]; then
  apt-get -qq update >&2
  image=$(apt-cache depends "$METAPACKAGE" | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
fi
[ -n "$image" ] || { say "apt knows no $METAPACKAGE (Debian's bookworm-security has it)"; exit 1; }
release=${image#linux-image-}
version=${release%-amd64}
out=$cache/$release-1
if [ -f "$out/ready" ]; then
  echo "$out"
  exit 0
fi

say "preparing Linux $release, once"
mkdir -p "$cache"
work=$(mktemp -d "$cache/prepare.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
# apt drops its rights to download; it must reach the folder, or it warns.
chmod 755 "$work"
cd "$work"
mkdir debs root result
(cd debs && apt-get -qq download "$image" "linux-headers-$release" "linux-headers-$version-common" \
  "linux-kbuild-$version" linux-source-6.12) >&2
for deb in debs/*.deb; do
  # Of the source only the packed tree is read; of the image the whole.
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C root
done
rm -rf debs

headers=$work/root/usr/src/linux-headers-$release
# The headers name their common part and kbuild by absolute paths, as if installed.
sed -i "s#/usr/src/linux-headers#$work/root/usr/src/linux-headers#g" "$headers/Makefile"
tree=linux-source-6.12
tar -xf "root/usr/src/$tree.tar.xz" "$tree/scripts/extract-vmlinux" "$tree/kernel/irq/irq_sim.c" \
  "$tree/drivers/gpio/gpio-sim.c"
"$tree/scripts/extract-vmlinux" "root/boot/vmlinuz-$release" >result/vmlinux

mkdir gpio-sim
cp "$tree/kernel/irq/irq_sim.c" "$tree"/drivers/gpio/* gpio-sim/
# irq_to_desc is not exported to modules; the interrupt's data leads to the same descriptor.
sed -i 's/irq_to_desc(\([^()]*\))/irq_data_to_desc(irq_get_irq_data(\1))/' gpio-sim/irq_sim.c
# Two modules of one folder: irq_sim exports what gpio-sim imports.
printf 'obj-m := gpio-sim-hil.o\ngpio-sim-hil-y := gpio-sim.o irq_sim.o\nccflags-y := -DCONFIG_IRQ_SIM=1\n' >gpio-sim/Makefile
# Type data of modules needs a program more, and nothing here reads it.
make -s -C "$headers" M="$work/gpio-sim" CONFIG_DEBUG_INFO_BTF_MODULES= modules >make.log 2>&1 || { tail -n 30 make.log >&2; exit 1; }

mkdir result/modules
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
cp gpio-sim/gpio-sim-hil.ko result/modules/
echo gpio-sim-hil.ko >>result/modules/order
touch result/ready
rm -rf "$out"
mv result "$out"
echo "$out"
