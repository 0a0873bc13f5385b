// SPDX-License-Identifier: MIT
// axi_lite_port.v against counts and arrays: requests at random on all channels, pauses everywhere, and resets.
//
// Every request must be answered once, in order, with the registers' response; no offered request or response may be
// withdrawn or change before it is accepted, and there must be no response without a request.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module axi_lite_port_tb;
    localparam CLOCKS = 60000;
    reg clock = 1'b0;
    reg reset_n = 1'b0;
    always #5 clock = ~clock;

    reg [7:0] awaddr = 0, araddr = 0;
    reg [31:0] wdata = 0;
    reg [3:0] wstrb = 0;
    reg awvalid = 0, wvalid = 0, bready = 0, arvalid = 0, rready = 0, write_hold = 0, read_hold = 0;
    wire awready, wready, bvalid, arready, rvalid, write, read_pending, read;
    wire [1:0] bresp, rresp;
    wire [31:0] rdata, write_data;
    wire [7:0] write_address, read_address;
    wire [2:0] write_prot, read_prot;
    wire [3:0] write_strobe;
    wire write_refused = write_address[6];
    wire read_refused = read_address[6];
    wire [31:0] read_data = {4{read_address}} ^ 32'h12345678;

    axi_lite_port u_port (
        .clock(clock), .reset_n(reset_n), .awaddr(awaddr), .awprot(awaddr[2:0]), .awvalid(awvalid), .awready(awready),
        .wdata(wdata), .wstrb(wstrb), .wvalid(wvalid), .wready(wready),
        .bresp(bresp), .bvalid(bvalid), .bready(bready),
        .araddr(araddr), .arprot(araddr[2:0]), .arvalid(arvalid), .arready(arready),
        .rdata(rdata), .rresp(rresp), .rvalid(rvalid), .rready(rready),
        .write(write), .write_address(write_address), .write_prot(write_prot), .write_data(write_data),
        .write_strobe(write_strobe), .write_hold(write_hold), .write_refused(write_refused),
        .read_pending(read_pending), .read(read), .read_address(read_address), .read_prot(read_prot),
        .read_hold(read_hold), .read_refused(read_refused), .read_data(read_data)
    );

    // The requests, by their number modulo 16, and the count of each kind.
    reg [7:0] addresses [0:15], questions [0:15];
    reg [35:0] contents [0:15];
    integer asked_address, asked_data, done_writes, answered_writes, asked_reads, done_reads, answered_reads;
    integer number, answers;
    wire [31:0] wanted = {4{questions[answered_reads % 16] & 8'hFC}} ^ 32'h12345678;
    reg aw_taken, w_taken, b_taken, ar_taken, r_taken, did_write, did_read;
    reg b_waits, r_waits;
    reg [1:0] b_held;
    reg [33:0] r_held;
    reg [40:0] before;

    task forget;
        begin
            {asked_address, asked_data, done_writes, answered_writes} = 0;
            {asked_reads, done_reads, answered_reads} = 0;
            {awvalid, wvalid, arvalid, b_waits, r_waits} = 5'd0;
        end
    endtask

    initial begin
        forget;
        answers = 0;
        repeat (3) @(negedge clock);
        for (number = 0; number < CLOCKS; number = number + 1) begin
            if ($unsigned($random) % 500 == 0) begin
                reset_n = 1'b0;
                forget;
                repeat (1 + ($unsigned($random) & 3)) @(negedge clock);
                if (awready || wready || arready || bvalid || rvalid)
                    $fatal(1, "FAIL: clock %0d: something is offered in a reset", number);
            end
            reset_n = 1'b1;
            // A master holds a request until it is accepted.
            if (!awvalid && ($random & 3) != 0) {awvalid, awaddr} = {1'b1, 8'd0} | ($random & 255);
            if (!wvalid && ($random & 3) != 0) begin
                wvalid = 1'b1;
                wdata = $random;
                wstrb = $random;
            end
            if (!arvalid && ($random & 3) != 0) {arvalid, araddr} = {1'b1, 8'd0} | ($random & 255);
            bready = ($random & 1) != 0;
            rready = ($random & 1) != 0;
            write_hold = ($random & 7) == 0;
            read_hold = ($random & 7) == 0;
            #1;
            if (b_waits && (!bvalid || bresp !== b_held))
                $fatal(1, "FAIL: clock %0d: a response to a write changes", number);
            if (r_waits && (!rvalid || {rdata, rresp} !== r_held))
                $fatal(1, "FAIL: clock %0d: what was read changes", number);
            aw_taken = awvalid && awready;
            w_taken = wvalid && wready;
            b_taken = bvalid && bready;
            ar_taken = arvalid && arready;
            r_taken = rvalid && rready;
            did_write = write;
            did_read = read;
            // No output depends on a master's input in the same clock.
            before = {awready, wready, bvalid, bresp, arready, rvalid, rresp, rdata};
            {awvalid, wvalid, bready, arvalid, rready} = ~{awvalid, wvalid, bready, arvalid, rready};
            #1;
            if ({awready, wready, bvalid, bresp, arready, rvalid, rresp, rdata} !== before)
                $fatal(1, "FAIL: clock %0d: an output follows an input", number);
            {awvalid, wvalid, bready, arvalid, rready} = ~{awvalid, wvalid, bready, arvalid, rready};
            #1;
            if (write && write_hold || read && read_hold) $fatal(1, "FAIL: clock %0d: it does not hold", number);
            if (write && (write_address !== (addresses[done_writes % 16] & 8'hFC)
                          || write_prot !== addresses[done_writes % 16][2:0]
                          || {write_strobe, write_data} !== contents[done_writes % 16]
                          || done_writes >= asked_address || done_writes >= asked_data))
                $fatal(1, "FAIL: clock %0d: write %0d is not the one that was asked for", number, done_writes);
            if (read && (read_address !== (questions[done_reads % 16] & 8'hFC) || done_reads >= asked_reads))
                $fatal(1, "FAIL: clock %0d: read %0d is not the one that was asked for", number, done_reads);
            if (bvalid && (answered_writes >= done_writes || bresp !== {addresses[answered_writes % 16][6], 1'b0}))
                $fatal(1, "FAIL: clock %0d: response %0d to a write is %b", number, answered_writes, bresp);
            if (rvalid && (answered_reads >= done_reads || rresp !== {questions[answered_reads % 16][6], 1'b0}
                           || rdata !== (rresp[1] ? 32'd0 : wanted)))
                $fatal(1, "FAIL: clock %0d: read %0d gives %h", number, answered_reads, rdata);
            b_waits = bvalid && !bready;
            r_waits = rvalid && !rready;
            b_held = bresp;
            r_held = {rdata, rresp};
            if (aw_taken) addresses[asked_address % 16] = awaddr;
            if (w_taken) contents[asked_data % 16] = {wstrb, wdata};
            if (ar_taken) questions[asked_reads % 16] = araddr;
            asked_address = asked_address + aw_taken;
            asked_data = asked_data + w_taken;
            asked_reads = asked_reads + ar_taken;
            done_writes = done_writes + did_write;
            done_reads = done_reads + did_read;
            answered_writes = answered_writes + b_taken;
            answered_reads = answered_reads + r_taken;
            answers = answers + b_taken + r_taken;
            if (asked_address > answered_writes + 2 || asked_reads > answered_reads + 2)
                $fatal(1, "FAIL: clock %0d: an answer is missing", number);
            @(negedge clock);
            if (aw_taken) awvalid = 1'b0;
            if (w_taken) wvalid = 1'b0;
            if (ar_taken) arvalid = 1'b0;
        end
        if (answers < CLOCKS / 4) $fatal(1, "FAIL: only %0d answers in %0d clocks", answers, CLOCKS);
        $display("PASS: %0d vectors", answers);
        $finish;
    end
endmodule
`default_nettype wire
