// SPDX-License-Identifier: MIT
// memory.v for the iCE40 UltraPlus: more than 65,536 bits go into its large memories, of 16,384 words of 16 bits.
//
//   read_data (two enabled clocks after read_address) = words[read_address]
//
// A large memory has one port and no initial contents: it is loaded over the wire, and a word must not be written in a
// clock in which one is read (the load port writes while the engine is idle). Up to 16,384 words; smaller
// memories are as in memory.v.
// Python twin: an array.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module memory #(
    // Bits of a word.
    parameter WIDTH = 16,
    // Number of words.
    parameter DEPTH = 1024,
    // $readmemh file of the initial contents, for a memory that is not large; empty: none.
    parameter IMAGE = ""
) (
    input  wire                     clock,

    // Read port; both stages hold while read_enable is low.
    input  wire                     read_enable,
    input  wire [$clog2(DEPTH)-1:0] read_address,
    output reg  [WIDTH-1:0]         read_data,

    // Write port.
    input  wire                     write_enable,
    input  wire [$clog2(DEPTH)-1:0] write_address,
    input  wire [WIDTH-1:0]         write_data
);
    localparam LARGE_BITS = 65536;
    localparam ADDRESS_BITS = $clog2(DEPTH);

    initial begin
        if (DEPTH < 2) $fatal(1, "%m: DEPTH = %0d; a memory needs at least 2 words", DEPTH);
        if (WIDTH * DEPTH > LARGE_BITS && DEPTH > 16384)
            $fatal(1, "%m: DEPTH = %0d; a large memory holds 16384 words", DEPTH);
    end

    generate
        if (WIDTH * DEPTH > LARGE_BITS) begin : spram
            localparam COLUMNS = (WIDTH + 15) / 16;
            wire [ADDRESS_BITS-1:0] address = write_enable ? write_address : read_address;
            wire [13:0] whole = {{(14-ADDRESS_BITS){1'b0}}, address};
            wire [16*COLUMNS-1:0] written = {{(16*COLUMNS-WIDTH){1'b0}}, write_data};
            wire [16*COLUMNS-1:0] fetched;
            genvar column;
            for (column = 0; column < COLUMNS; column = column + 1) begin : columns
                SB_SPRAM256KA u_block (
                    .CLOCK(clock), .ADDRESS(whole), .DATAIN(written[16*column +: 16]), .MASKWREN(4'b1111),
                    .WREN(write_enable),
                    .CHIPSELECT(read_enable || write_enable), .STANDBY(1'b0), .SLEEP(1'b0), .POWEROFF(1'b1),
                    .DATAOUT(fetched[16*column +: 16])
                );
            end
            always @(posedge clock) if (read_enable) read_data <= fetched[WIDTH-1:0];
        end else begin : inferred
            reg [WIDTH-1:0] words [0:DEPTH-1];
            reg [WIDTH-1:0] fetched;
            initial if (IMAGE != "") $readmemh(IMAGE, words);
            always @(posedge clock) begin
                if (write_enable) words[write_address] <= write_data;
                if (read_enable) begin
                    fetched   <= words[read_address];
                    read_data <= fetched;
                end
            end
        end
    endgenerate
endmodule
`default_nettype wire
