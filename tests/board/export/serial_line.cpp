// SPDX-License-Identifier: MIT
// A SoC in Verilator behind a pseudo-terminal: its serial line, bit by bit, DIVIDER clocks for each.
//
// Prints the terminal's name, and runs until its standard input is closed.
#include "Vtop.h"
#include "verilated.h"
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

static Vtop top;
static int line, sending, receiving, bits_left, wait_clocks, byte_in, bits_in, sample_clocks;

// One clock: the line's bits go in and out.
static void clock_once() {
    if (!wait_clocks && bits_left) {
        top.serial_rx = sending & 1;
        sending >>= 1;
        --bits_left;
        wait_clocks = DIVIDER;
    }
    if (wait_clocks) --wait_clocks;
    top.clock = 0;
    top.eval();
    top.clock = 1;
    top.eval();
    if (!receiving && !top.serial_tx) {
        receiving = 1, byte_in = 0, bits_in = 0, sample_clocks = DIVIDER + DIVIDER / 2;
    } else if (receiving && !--sample_clocks) {
        sample_clocks = DIVIDER;
        if (bits_in < 8) {
            byte_in |= top.serial_tx << bits_in++;
        } else {
            unsigned char byte = (unsigned char)byte_in;
            receiving = 0;
            if (write(line, &byte, 1) != 1) exit(2);
        }
    }
}

int main() {
    line = posix_openpt(O_RDWR | O_NOCTTY);
    if (line < 0 || grantpt(line) || unlockpt(line)) return 2;
    int held = open(ptsname(line), O_RDWR | O_NOCTTY);  // so that the line stays up between two programs
    termios raw;
    tcgetattr(held, &raw);
    cfmakeraw(&raw);
    tcsetattr(held, TCSANOW, &raw);
    fcntl(line, F_SETFL, O_NONBLOCK);
    printf("%s\n", ptsname(line));
    fflush(stdout);
    top.serial_rx = 1;
    top.reset = 1;
    for (int count = 0; count < 8; ++count) clock_once();
    top.reset = 0;
    pollfd ends[2] = {{0, 0, 0}, {line, POLLIN, 0}};
    for (;;) {
        bool busy = bits_left || wait_clocks || receiving;
        poll(ends, 2, busy ? 0 : 1);
        if (ends[0].revents & (POLLHUP | POLLERR)) return 0;
        unsigned char byte;
        if (!bits_left && read(line, &byte, 1) == 1) {
            sending = (byte << 1) | 0x600;  // start bit, eight bits, two stop bits
            bits_left = 11;
        }
        for (int count = 0; count < 8 * DIVIDER; ++count) clock_once();
    }
}
