// SPDX-License-Identifier: MIT
// activation_memory.v against an array of words: random reads of rows and writes of words, also of the same row.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module activation_memory_tb;
    localparam LANES = 4, WIDTH = 6, ROWS = 10;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg [3:0] read_row_address, write_row_address;
    reg [LANES-1:0] write_lane;
    reg [WIDTH-1:0] write_data;
    wire [LANES*WIDTH-1:0] read_row;
    reg [LANES*WIDTH-1:0] model [0:ROWS-1];
    reg [LANES*WIDTH-1:0] stage_1, stage_2;
    integer number, lane;

    activation_memory #(.LANES(LANES), .WIDTH(WIDTH), .ROWS(ROWS)) u_activation_memory (
        .clock(clock), .read_row_address(read_row_address), .read_row(read_row),
        .write_lane(write_lane), .write_row_address(write_row_address), .write_data(write_data)
    );

    initial begin
        for (number = 0; number < LANES * ROWS + 4000; number = number + 1) begin
            lane = number < LANES * ROWS ? number % LANES : $unsigned($random) % LANES;
            write_row_address = number < LANES * ROWS ? number / LANES : $unsigned($random) % ROWS;
            write_lane = number < LANES * ROWS || ($random & 1) != 0 ? 1 << lane : 0;
            write_data = $random;
            read_row_address = ($random & 3) == 0 ? write_row_address : $unsigned($random) % ROWS;
            stage_2 = stage_1;
            stage_1 = model[read_row_address];
            if (write_lane != 0) model[write_row_address][lane*WIDTH +: WIDTH] = write_data;
            @(negedge clock);
            if (number > LANES * ROWS + 10 && read_row !== stage_2)
                $fatal(1, "FAIL: vector %0d reads %h, expected %h", number, read_row, stage_2);
        end
        $display("PASS: 4000 vectors");
        $finish;
    end
endmodule
`default_nettype wire
