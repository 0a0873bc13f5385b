// SPDX-License-Identifier: MIT
// Drives the clock of uart_engine_tb.v in Verilator; the bench itself does everything else.
#include <memory>
#include "Vuart_engine_tb.h"
#include "verilated.h"

int main(int argc, char** argv) {
    const std::unique_ptr<VerilatedContext> context{new VerilatedContext};
    context->traceEverOn(true);
    context->commandArgs(argc, argv);
    const std::unique_ptr<Vuart_engine_tb> bench{new Vuart_engine_tb{context.get()}};
    while (!context->gotFinish()) {
        bench->clock = 0;
        bench->eval();
        context->timeInc(5);
        bench->clock = 1;
        bench->eval();
        context->timeInc(5);
    }
    bench->final();
    return 0;
}
