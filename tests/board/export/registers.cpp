// SPDX-License-Identifier: MIT
// The registers of a design in Verilator, for the driver in C: each access takes the clocks that it takes.
//
// PREFIX names the ports (s_axil_ of an exported top; host_ of a SoC), BASE is where the registers stand.
#include "Vtop.h"
#include "verilated.h"
#include <cstdint>

#ifdef SOC
#define PORT(name) top->host_##name
#define RESET(on) top->reset = on
#else
#define PORT(name) top->s_axil_##name
#define RESET(on) top->reset_n = !(on)
#endif

static Vtop *top;

static void clocks(int count) {
    while (count--) {
        top->clock = 0;
        top->eval();
        top->clock = 1;
        top->eval();
    }
}

extern "C" uint32_t registers_read(uint32_t offset) {
    if (!top) {
        top = new Vtop;
        RESET(1);
        clocks(3);
        RESET(0);
        clocks(2);
    }
    PORT(araddr) = BASE + offset;
    PORT(arvalid) = 1;
    top->eval();
    while (!PORT(arready)) clocks(1);
    clocks(1);
    PORT(arvalid) = 0;
    PORT(rready) = 1;
    top->eval();
    while (!PORT(rvalid)) clocks(1);
    uint32_t value = PORT(rresp) ? 0xDEADBEEF : PORT(rdata);
    clocks(1);
    PORT(rready) = 0;
    return value;
}

extern "C" void registers_write(uint32_t offset, uint32_t value) {
    PORT(awaddr) = BASE + offset;
    PORT(wdata) = value;
    PORT(wstrb) = 15;
    PORT(awvalid) = 1;
    PORT(wvalid) = 1;
    // Address and data are taken each in its own clock.
    for (int address = 1, data = 1; address || data;) {
        top->eval();
        int address_taken = PORT(awvalid) && PORT(awready), data_taken = PORT(wvalid) && PORT(wready);
        clocks(1);
        if (address_taken) PORT(awvalid) = address = 0;
        if (data_taken) PORT(wvalid) = data = 0;
    }
    PORT(bready) = 1;
    top->eval();
    while (!PORT(bvalid)) clocks(1);
    clocks(1);
    PORT(bready) = 0;
}

extern "C" int driver(int count, char **arguments);

int main(int count, char **arguments) { return driver(count, arguments); }
