// Sends infrared codes that Gatehouse asks for; see README.md beside this file. Needs IRremote 4.
#pragma once

#include <IRremote.hpp>

#define GATEHOUSE_INFRARED 0x0C

// Pin 3 is where IRremote sends on an Uno.
static void gatehouseInfraredBegin() {
  IrSender.begin(3);
}

// 16 bits in three bytes of seven, low bits first.
static uint16_t gatehouseWord(const byte *at) {
  return (uint16_t)at[0] | ((uint16_t)at[1] << 7) | ((uint16_t)at[2] << 14);
}

// argv: protocol, address (3 bytes), command (3 bytes), repeats.
static void gatehouseInfrared(byte argc, byte *argv) {
  if (argc < 8) return;
  const uint16_t address = gatehouseWord(argv + 1);
  const uint16_t command = gatehouseWord(argv + 4);
  const byte repeats = argv[7] > 20 ? 20 : argv[7];
  switch (argv[0]) {
    case 0: IrSender.sendNEC(address, command, repeats); break;
    case 1: IrSender.sendSamsung(address, command, repeats); break;
    case 2: IrSender.sendSony(address, command, repeats, 12); break;
    case 3: IrSender.sendRC5(address, command, repeats); break;
  }
}
