// SPDX-License-Identifier: MIT
// A model of Gowin's multiplier of 18 by 18 bits as yosys uses it, without registers; yosys has it as a black box only.
//
//   DOUT (at once) = A * B, each signed if ASIGN, BSIGN; the chain (SIA, SIB, SOA, SOB) is not used
//
// Gowin: DSP User Guide. Python twin: the product, in tests/board/test_cells.py.
`default_nettype none
module MULT18X18 #(
    parameter AREG = 1'b0, BREG = 1'b0, OUT_REG = 1'b0, PIPE_REG = 1'b0, ASIGN_REG = 1'b0, BSIGN_REG = 1'b0,
    parameter SOA_REG = 1'b0, MULT_RESET_MODE = "SYNC"
) (
    input  wire [17:0] A, SIA, B, SIB,
    input  wire        ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
    output wire [35:0] DOUT,
    output wire [17:0] SOA, SOB
);
    wire signed [18:0] a = {ASIGN && A[17], A}, b = {BSIGN && B[17], B};
    wire signed [37:0] product = a * b;
    assign DOUT = product[35:0];
    assign SOA = 18'd0;
    assign SOB = 18'd0;
endmodule
`default_nettype wire
