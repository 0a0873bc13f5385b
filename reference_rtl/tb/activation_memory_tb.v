// SPDX-License-Identifier: MIT
// activation_memory.v against an array of words: random reads of rows and writes of words from any address on, also of
// the same row.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module activation_memory_tb;
    parameter LANES = 4;
    parameter DRAIN = 1;
    localparam WIDTH = 6, ROWS = 10, WORDS = LANES * ROWS, TRIES = 4000, SIZE = DRAIN * WIDTH;
    localparam PLACE_BITS = LANES > 1 ? $clog2(LANES) : 1;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg [3:0] read_row_address, write_row_address;
    reg [PLACE_BITS-1:0] write_place;
    reg [DRAIN-1:0] write;
    reg [SIZE-1:0] write_data;
    wire [LANES*WIDTH-1:0] read_row;
    reg [WIDTH-1:0] model [0:WORDS-1];
    reg [LANES*WIDTH-1:0] stage_1, stage_2;
    integer number, word, address, count;

    activation_memory #(.LANES(LANES), .DRAIN(DRAIN), .WIDTH(WIDTH), .ROWS(ROWS)) u_activation_memory (
        .clock(clock), .read_row_address(read_row_address), .read_row(read_row),
        .write(write), .write_row_address(write_row_address), .write_place(write_place), .write_data(write_data)
    );

    initial begin
        for (number = 0; number < WORDS + TRIES; number = number + 1) begin
            count = number < WORDS ? 1 : $unsigned($random) % (DRAIN + 1);
            address = number < WORDS ? number : $unsigned($random) % (WORDS - count + 1);
            if (address == WORDS) address = 0;
            write_row_address = address / LANES;
            write_place = address % LANES;
            for (word = 0; word < DRAIN; word = word + 1) begin
                write[word] = word < count;
                write_data[word*WIDTH +: WIDTH] = $random;
            end
            read_row_address = ($random & 3) == 0 ? write_row_address : $unsigned($random) % ROWS;
            stage_2 = stage_1;
            for (word = 0; word < LANES; word = word + 1)
                stage_1[word*WIDTH +: WIDTH] = model[read_row_address*LANES+word];
            for (word = 0; word < count; word = word + 1) model[address+word] = write_data[word*WIDTH +: WIDTH];
            @(negedge clock);
            if (number > WORDS + 10 && read_row !== stage_2)
                $fatal(1, "FAIL: vector %0d reads %h, expected %h", number, read_row, stage_2);
        end
        $display("PASS: %0d vectors", TRIES);
        $finish;
    end
endmodule
`default_nettype wire
