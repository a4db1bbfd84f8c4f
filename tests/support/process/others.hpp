// The other clients, while one client keeps a real registry busy.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <variant>

#include "common/crypto/certificate.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tests/support/wire/tls_client.hpp"

namespace notp {

struct Others {
  Stack& stack;

  // Checks requests on a ledger "payments" with a first version: questions and operators' commands,
  // a node that joins, and one that renews its certificate.
  void are_served() const {
    const CliResult history = stack.notp("alice", {"history", kPayments});
    CHECK_MESSAGE(history.status == 0, history.error);
    const CliResult nodes = stack.notp("eve", {"nodes"});
    CHECK_MESSAGE(nodes.status == 0, nodes.error);
    const CliResult withdrawn =
        stack.notp("alice", {"withdraw", kPayments, "v1", "--reason", "it pays twice"});
    CHECK_MESSAGE(withdrawn.status == 0, withdrawn.error);
    joins();
    CHECK(renews());
  }

 private:
  void joins() const {
    const CliResult token = stack.notp("eve", {"node", "enroll", "newcomer"});
    REQUIRE_MESSAGE(token.status == 0, token.error);
    Process join({.command = {stack.program("notp-client"), "enroll", "--token",
                              text_at(token.document, "token"), "--dir", stack.file("newcomer"),
                              "--ledger", kPayments},
                  .folder = stack.folder(),
                  .environment = {},
                  .output_file = stack.file("join.out"),
                  .error_file = stack.file("join.err")});
    CHECK_MESSAGE(join.wait() == 0, join.error());
  }
  bool renews() const {
    const std::string both = (stack.file("newcomer") / "node.pem").string();
    TlsClient session(static_cast<uint16_t>(stack.registry_port()),
                      {.identity = transport::TlsFiles{both, both, {}, {}}, .alpn = "\x06notp/1"});
    REQUIRE(session.ok());
    session.send(wire::encode_frame(
                     wire::Hello{.versions = {wire::kProtocolVersion}, .user_agent = "renews"}) +
                 wire::encode_frame(wire::Request{
                     .request = 1,
                     .what = wire::RenewCertificate{must(make_certificate_request()).request}}));
    wire::FrameParser parser;
    while (true) {
      for (auto next = parser.next(); next && *next; next = parser.next())
        if (const auto* answer = std::get_if<wire::Response>(&**next)) return answer->code == 0;
      const Bytes heard = session.read_some();
      if (heard.empty()) return false;
      parser.feed(heard);
    }
  }
};

}  // namespace notp
