// SPDX-License-Identifier: MIT
// activation_memory.v against an array of words: random reads of rows or of words from any address on, and writes of
// words from any address on, also of the same row.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module activation_memory_tb;
    parameter LANES = 4;
    parameter DRAIN = 1;
    parameter READ = 1;
    localparam WIDTH = 6, ROWS = 10, WORDS = LANES * ROWS, TRIES = 4000, SIZE = DRAIN * WIDTH;
    localparam PLACE_BITS = LANES > 1 ? $clog2(LANES) : 1;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg [3:0] read_row_address, write_row_address;
    reg [PLACE_BITS-1:0] read_place, write_place;
    reg read_whole;
    reg [DRAIN-1:0] write;
    reg [SIZE-1:0] write_data;
    wire [LANES*WIDTH-1:0] read_row;
    wire [READ*WIDTH-1:0] read_words;
    reg [WIDTH-1:0] model [0:WORDS-1];
    reg [LANES*WIDTH-1:0] stage_1, stage_2;
    reg [READ*WIDTH-1:0] words_1, words_2;
    reg whole_1, whole_2;
    integer number, word, address, count;

    activation_memory #(.LANES(LANES), .DRAIN(DRAIN), .WORDS(READ), .WIDTH(WIDTH), .ROWS(ROWS)) u_activation_memory (
        .clock(clock), .read_row_address(read_row_address), .read_place(read_place), .read_whole(read_whole),
        .read_row(read_row), .read_words(read_words),
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
            // Words that begin in the last row may end beyond the memory, and are not compared.
            read_place = LANES > 1 ? $random : 0;
            read_whole = READ == 1 || ($random & 1) || read_row_address == ROWS - 1;
            words_2 = words_1;
            whole_2 = whole_1;
            whole_1 = read_whole;
            for (word = 0; word < READ; word = word + 1)
                words_1[word*WIDTH +: WIDTH] = model[(read_row_address*LANES+read_place+word)%WORDS];
            stage_2 = stage_1;
            for (word = 0; word < LANES; word = word + 1)
                stage_1[word*WIDTH +: WIDTH] = model[read_row_address*LANES+word];
            for (word = 0; word < count; word = word + 1) model[address+word] = write_data[word*WIDTH +: WIDTH];
            @(negedge clock);
            if (number > WORDS + 10 && (whole_2 || READ == 1) && read_row !== stage_2)
                $fatal(1, "FAIL: vector %0d reads %h, expected %h", number, read_row, stage_2);
            if (number > WORDS + 10 && (!whole_2 || READ == 1) && read_words !== words_2)
                $fatal(1, "FAIL: vector %0d reads the words %h, expected %h", number, read_words, words_2);
        end
        $display("PASS: %0d vectors", TRIES);
        $finish;
    end
endmodule
`default_nettype wire
