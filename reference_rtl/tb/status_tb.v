// SPDX-License-Identifier: MIT
// status.v against counters in the bench.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module status_tb;
    parameter DRAIN = 1;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg clear, busy, mac, accumulator_lost, sticky;
    reg [DRAIN-1:0] overflowed;
    wire [31:0] cycles, mac_cycles, saturations;
    wire accumulator_overflow;
    integer number, a, b, c, word;

    status #(.DRAIN(DRAIN)) u_status (
        .clock(clock), .clear(clear), .busy(busy), .mac(mac), .overflowed(overflowed),
        .accumulator_lost(accumulator_lost),
        .cycles(cycles), .mac_cycles(mac_cycles), .saturations(saturations), .accumulator_overflow(accumulator_overflow)
    );

    initial begin
        for (number = 0; number < 2000; number = number + 1) begin
            clear = number == 0 || number == 1000;
            {busy, mac, overflowed} = $random;
            accumulator_lost = ($random & 255) == 0;
            if (clear) begin
                a = 0;
                b = 0;
                c = 0;
                sticky = 1'b0;
            end else begin
                a = a + busy;
                b = b + mac;
                for (word = 0; word < DRAIN; word = word + 1) c = c + overflowed[word];
                sticky = sticky || accumulator_lost;
            end
            @(negedge clock);
            if (cycles !== a || mac_cycles !== b || saturations !== c || accumulator_overflow !== sticky)
                $fatal(1, "FAIL: vector %0d counts %0d %0d %0d %b, expected %0d %0d %0d %b",
                       number, cycles, mac_cycles, saturations, accumulator_overflow, a, b, c, sticky);
        end
        $display("PASS: 2000 vectors");
        $finish;
    end
endmodule
`default_nettype wire
