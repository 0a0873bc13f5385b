// SPDX-License-Identifier: MIT
// The block memory of a chip, for the models of its cells: bytes of 8 or 9 bits behind two ports, each of 1 to 8 bytes
// or of 1, 2 or 4 bits of a byte.
//
//   one clock from an address, which counts bits, to its word; an enable for each byte of a wide word that is written
//
// A port that writes keeps what it had read (MODE 0), shows the new word (1) or the old one (2). A reset clears what
// was read. Python twin: `Bytes` in tests/board/test_cells.py.
`default_nettype none
module two_port_block #(
    parameter BYTE = 9,
    // Bits of an address: 2**(ADDRESS-3) bytes.
    parameter ADDRESS = 14,
    // Bits of a word; 0: the port does not.
    parameter READ_A = 9,
    parameter WRITE_A = 9,
    parameter READ_B = 9,
    parameter WRITE_B = 9,
    parameter [1:0] MODE_A = 2'd0,
    parameter [1:0] MODE_B = 2'd0,
    parameter [2**(ADDRESS-3)*BYTE-1:0] INIT = 0,
    parameter [71:0] FIRST_A = 72'd0,
    parameter [71:0] FIRST_B = 72'd0,
    parameter [71:0] CLEARED_A = 72'd0,
    parameter [71:0] CLEARED_B = 72'd0
) (
    input  wire               clock_a, enable_a, write_a, reset_a,
    input  wire [ADDRESS-1:0] address_a,
    input  wire [7:0]         bytes_a,
    input  wire [71:0]        written_a,
    output reg  [71:0]        read_a,
    input  wire               clock_b, enable_b, write_b, reset_b,
    input  wire [ADDRESS-1:0] address_b,
    input  wire [7:0]         bytes_b,
    input  wire [71:0]        written_b,
    output reg  [71:0]        read_b
);
    reg [BYTE-1:0] held [0:2**(ADDRESS-3)-1];
    integer n;
    initial begin
        for (n = 0; n < 2**(ADDRESS-3); n = n + 1) held[n] = INIT[n*BYTE +: BYTE];
        read_a = FIRST_A;
        read_b = FIRST_B;
    end

    // The first byte of a word.
    function [ADDRESS-4:0] first(input integer width, input [ADDRESS-1:0] address);
        first = address[ADDRESS-1:3] & ~(width > BYTE ? width / BYTE - 1 : 0);
    endfunction
    // The place of a word of less than a byte in its byte.
    function [2:0] place(input integer width, input [ADDRESS-1:0] address);
        place = address[2:0] & ~(width - 1);
    endfunction
    // The word at an address.
    function [71:0] word(input integer width, input [ADDRESS-1:0] address);
        integer k;
        begin
            word = 72'd0;
            if (width >= BYTE)
                for (k = 0; k < width / BYTE; k = k + 1) word[k*BYTE +: BYTE] = held[first(width, address) + k];
            else
                word = ({{(72-BYTE){1'b0}}, held[address[ADDRESS-1:3]]} >> place(width, address))
                    & ((72'd1 << width) - 1);
        end
    endfunction
    // Bits of a word of less than a byte.
    localparam PART_A = WRITE_A > 0 && WRITE_A < BYTE ? WRITE_A : 1;
    localparam PART_B = WRITE_B > 0 && WRITE_B < BYTE ? WRITE_B : 1;

    integer k_a;
    always @(posedge clock_a) begin
        if (enable_a && READ_A != 0) begin
            if (!write_a || MODE_A != 2'd0) read_a <= word(READ_A, address_a);
            if (write_a && MODE_A == 2'd1) begin
                if (WRITE_A < BYTE) read_a <= written_a & ((72'd1 << WRITE_A) - 1);
                else for (k_a = 0; k_a < WRITE_A / BYTE; k_a = k_a + 1)
                    if (bytes_a[k_a] || WRITE_A == BYTE)
                        read_a[k_a*BYTE +: BYTE] <= written_a[k_a*BYTE +: BYTE];
            end
        end
        if (reset_a) read_a <= CLEARED_A;
        if (enable_a && write_a && WRITE_A != 0) begin
            if (WRITE_A >= BYTE) begin
                for (k_a = 0; k_a < WRITE_A / BYTE; k_a = k_a + 1)
                    if (bytes_a[k_a] || WRITE_A == BYTE)
                        held[first(WRITE_A, address_a) + k_a] <= written_a[k_a*BYTE +: BYTE];
            end else held[address_a[ADDRESS-1:3]][place(WRITE_A, address_a) +: PART_A] <= written_a[PART_A-1:0];
        end
    end

    integer k_b;
    always @(posedge clock_b) begin
        if (enable_b && READ_B != 0) begin
            if (!write_b || MODE_B != 2'd0) read_b <= word(READ_B, address_b);
            if (write_b && MODE_B == 2'd1) begin
                if (WRITE_B < BYTE) read_b <= written_b & ((72'd1 << WRITE_B) - 1);
                else for (k_b = 0; k_b < WRITE_B / BYTE; k_b = k_b + 1)
                    if (bytes_b[k_b] || WRITE_B == BYTE)
                        read_b[k_b*BYTE +: BYTE] <= written_b[k_b*BYTE +: BYTE];
            end
        end
        if (reset_b) read_b <= CLEARED_B;
        if (enable_b && write_b && WRITE_B != 0) begin
            if (WRITE_B >= BYTE) begin
                for (k_b = 0; k_b < WRITE_B / BYTE; k_b = k_b + 1)
                    if (bytes_b[k_b] || WRITE_B == BYTE)
                        held[first(WRITE_B, address_b) + k_b] <= written_b[k_b*BYTE +: BYTE];
            end else held[address_b[ADDRESS-1:3]][place(WRITE_B, address_b) +: PART_B] <= written_b[PART_B-1:0];
        end
    end
endmodule
`default_nettype wire
