// SPDX-License-Identifier: MIT
// The scenes of the integration guide on an exported `moons`: what its ports did, a line for each clock.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`include "axi_registers.vh"
`default_nettype none
module waveforms_tb;
    reg clock = 1'b0, reset_n = 1'b0;
    always #5 clock = ~clock;
    reg [7:0] awaddr = 0;
    reg [31:0] wdata = 0;
    reg awvalid = 0, wvalid = 0, bready = 1, in_valid = 0, in_last = 0, out_ready = 0;
    reg [15:0] in_data = 0;
    wire awready, wready, bvalid, in_ready, out_valid, out_last, irq;
    wire [1:0] bresp;
    wire [15:0] out_data;

    moons_top u_top (
        .clock(clock), .reset_n(reset_n),
        .s_axil_awaddr(awaddr), .s_axil_awprot(3'd0), .s_axil_awvalid(awvalid), .s_axil_awready(awready),
        .s_axil_wdata(wdata), .s_axil_wstrb(4'hF), .s_axil_wvalid(wvalid), .s_axil_wready(wready),
        .s_axil_bresp(bresp), .s_axil_bvalid(bvalid), .s_axil_bready(bready),
        .s_axil_araddr(8'd0), .s_axil_arprot(3'd0), .s_axil_arvalid(1'b0), .s_axil_arready(),
        .s_axil_rdata(), .s_axil_rresp(), .s_axil_rvalid(), .s_axil_rready(1'b1),
        .s_axis_tdata(in_data), .s_axis_tkeep(2'b11), .s_axis_tlast(in_last),
        .s_axis_tvalid(in_valid), .s_axis_tready(in_ready),
        .m_axis_tdata(out_data), .m_axis_tkeep(), .m_axis_tlast(out_last),
        .m_axis_tvalid(out_valid), .m_axis_tready(out_ready), .irq(irq)
    );
    wire busy = u_top.u_axi_engine.state != 3'd0;

    // What the clock edge will see, just before it comes.
    reg recording = 1'b0;
    always @(posedge clock) if (recording)
        $display("clock %b %h %b %b %b %h %b %b %h %b %b %b %h %b %b %b %h %b %b %b", reset_n, awaddr, awvalid, awready,
                 wvalid, wdata[7:0], wready, bvalid, {2'b0, bresp}, bready, in_valid, in_ready, in_data, in_last, busy,
                 out_valid, out_data, out_ready, out_last, irq);

    task put(input [7:0] where, input [31:0] what, input late);
        begin
            awaddr = where;
            wdata = what;
            awvalid = 1'b1;
            wvalid = !late;
            @(negedge clock);
            awvalid = 1'b0;
            if (late) begin
                @(negedge clock);
                wvalid = 1'b1;
                @(negedge clock);
            end
            wvalid = 1'b0;
            while (!bvalid) @(negedge clock);
            @(negedge clock);
        end
    endtask

    task word(input [15:0] what, input is_last);
        begin
            in_valid = 1'b1;
            in_data = what;
            in_last = is_last;
            while (!in_ready) @(negedge clock);
            @(negedge clock);
            {in_valid, in_last, in_data} = 18'd0;
        end
    endtask

    initial begin
        repeat (3) @(negedge clock);
        $display("scene write");
        recording = 1'b1;
        repeat (2) @(negedge clock);
        reset_n = 1'b1;
        repeat (2) @(negedge clock);
        put(`AXI_SEED, 32'h11, 1'b0);
        put(`AXI_INTERRUPT_ENABLE, 32'h4, 1'b1);
        put(`AXI_CYCLES, 32'h55, 1'b0);
        recording = 1'b0;

        $display("scene input");
        recording = 1'b1;
        put(`AXI_CONTROL, 32'h7, 1'b0);
        word(16'h0008, 1'b0);
        @(negedge clock);
        word(16'hFFFC, 1'b1);
        repeat (4) @(negedge clock);
        recording = 1'b0;
        while (!out_valid) begin
            @(negedge clock);
            if (u_top.u_axi_engine.state == 3'd4 && !recording) begin
                $display("scene output");
                recording = 1'b1;
            end
        end
        repeat (3) @(negedge clock);
        out_ready = 1'b1;
        @(negedge clock);
        out_ready = 1'b0;
        repeat (2) @(negedge clock);
        put(`AXI_INTERRUPT_PENDING, 32'h7, 1'b0);
        repeat (2) @(negedge clock);
        recording = 1'b0;

        put(`AXI_CONTROL, 32'h4, 1'b0);
        while (!out_valid) @(negedge clock);
        $display("scene abort");
        recording = 1'b1;
        repeat (2) @(negedge clock);
        put(`AXI_CONTROL, 32'h10, 1'b0);
        repeat (3) @(negedge clock);
        out_ready = 1'b1;
        repeat (3) @(negedge clock);
        recording = 1'b0;
        $display("end");
        $finish;
    end
endmodule
`default_nettype wire
