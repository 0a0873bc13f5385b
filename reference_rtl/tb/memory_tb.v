// SPDX-License-Identifier: MIT
// memory.v against an array: random reads and writes, also of one address in one clock, with pauses at the read port.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module memory_tb;
    localparam WIDTH = 12, DEPTH = 24;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg read_enable, write_enable;
    reg [4:0] read_address, write_address;
    reg [WIDTH-1:0] write_data, stage_1, stage_2;
    wire [WIDTH-1:0] read_data;
    reg [WIDTH-1:0] model [0:DEPTH-1];
    integer number;

    memory #(.WIDTH(WIDTH), .DEPTH(DEPTH)) u_memory (
        .clock(clock), .read_enable(read_enable), .read_address(read_address), .read_data(read_data),
        .write_enable(write_enable), .write_address(write_address), .write_data(write_data)
    );

    initial begin
        read_enable = 1'b1;
        for (number = 0; number < DEPTH + 4000; number = number + 1) begin
            write_enable = number < DEPTH || ($random & 3) == 0;
            write_address = number < DEPTH ? number : $unsigned($random) % DEPTH;
            write_data = $random;
            read_address = ($random & 3) == 0 ? write_address : $unsigned($random) % DEPTH;
            read_enable = ($random & 7) != 0;
            if (read_enable) begin
                stage_2 = stage_1;
                stage_1 = model[read_address];
            end
            if (write_enable) model[write_address] = write_data;
            @(negedge clock);
            if (number > DEPTH + 10 && read_data !== stage_2)
                $fatal(1, "FAIL: vector %0d reads %h, expected %h", number, read_data, stage_2);
        end
        $display("PASS: 4000 vectors");
        $finish;
    end
endmodule
`default_nettype wire
