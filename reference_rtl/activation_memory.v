// SPDX-License-Identifier: MIT
// The activation memory: rows of LANES words, read by the row, written by the word.
//
//   read_row (two clocks after read_row_address) = the row
//
// A word that is written and read in the same clock is read as it was before.
// Python twin: `ActivationMemory` in fixedpoint_nn/hardware/emulator/activation_memory.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module activation_memory #(
    // Words of a row.
    parameter LANES = 8,
    // Bits of a word.
    parameter WIDTH = 16,
    // Number of rows.
    parameter ROWS = 512,
    // $readmemh file of the first contents, for synthesis; empty: none.
    parameter IMAGE = ""
) (
    input  wire                    clock,

    // Read port.
    input  wire [$clog2(ROWS)-1:0] read_row_address,
    output reg  [LANES*WIDTH-1:0]  read_row,

    // Write port: one word of one row; write_lane is one-hot, or zero to write nothing.
    input  wire [LANES-1:0]        write_lane,
    input  wire [$clog2(ROWS)-1:0] write_row_address,
    input  wire [WIDTH-1:0]        write_data
);
    reg [LANES*WIDTH-1:0] rows [0:ROWS-1];
    reg [LANES*WIDTH-1:0] fetched;
    integer lane;

    initial begin
        if (ROWS < 2) $fatal(1, "%m: ROWS = %0d; the activation memory needs at least 2 rows", ROWS);
        if (IMAGE != "") $readmemh(IMAGE, rows);
    end

    always @(posedge clock) begin
        if (|write_lane)
            for (lane = 0; lane < LANES; lane = lane + 1)
                if (write_lane[lane]) rows[write_row_address][lane*WIDTH +: WIDTH] <= write_data;
        fetched  <= rows[read_row_address];
        read_row <= fetched;
    end
endmodule
`default_nettype wire
