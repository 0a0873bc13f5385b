// SPDX-License-Identifier: MIT
// A model of Gowin's multiplier of 9 by 9 bits as yosys uses it, without registers; yosys has it as a black box only.
//
//   DOUT (at once) = A * B, each signed if ASIGN, BSIGN; the chain (SIA, SIB, SOA, SOB) is not used
//
// Gowin: DSP User Guide. Python twin: the product, in tests/board/test_cells.py.
`default_nettype none
module MULT9X9 #(
    parameter AREG = 1'b0, BREG = 1'b0, OUT_REG = 1'b0, PIPE_REG = 1'b0, ASIGN_REG = 1'b0, BSIGN_REG = 1'b0,
    parameter SOA_REG = 1'b0, MULT_RESET_MODE = "SYNC"
) (
    input  wire [8:0] A, SIA, B, SIB,
    input  wire        ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
    output wire [17:0] DOUT,
    output wire [8:0] SOA, SOB
);
    wire signed [9:0] a = {ASIGN && A[8], A}, b = {BSIGN && B[8], B};
    wire signed [19:0] product = a * b;
    assign DOUT = product[17:0];
    assign SOA = 9'd0;
    assign SOB = 9'd0;
endmodule
`default_nettype wire
