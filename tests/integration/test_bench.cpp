// The wire suite on a very small workload: that it measures what really happened, not how fast.
#include <doctest/doctest.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <thread>

#include "common/files.hpp"
#include "common/json.hpp"
#include "tests/support/command.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/bench/counting_proxy.hpp"

using namespace notp;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

std::string program(const std::string& name) {
  const char* folder = std::getenv("NOTP_BIN");
  REQUIRE(folder != nullptr);
  return std::string(folder) + "/" + name;
}

void write_corpus(const std::filesystem::path& folder, const std::string& seed) {
  const CommandResult made = run_command(
      {program("notp-bench"), "corpus", "--seed", seed, "--scale", "0.002", folder.string()});
  INFO(made.output);
  REQUIRE(made.status == 0);
}

std::string head_of(const std::filesystem::path& repository) {
  const CommandResult head = run_command({"git", "-C", repository.string(), "rev-parse", "HEAD"});
  REQUIRE(head.status == 0);
  return head.output;
}

// Answers each byte with two, until the peer ends.
void serve_doubles(tcp::acceptor& acceptor) {
  tcp::socket socket = acceptor.accept();
  boost::system::error_code ended;
  for (char byte = 0; asio::read(socket, asio::buffer(&byte, 1), ended) == 1;)
    asio::write(socket, asio::buffer(std::array{byte, byte}));
}

}  // namespace

TEST_CASE("the proxy counts each byte once, by direction, and the turns between them") {
  asio::io_context io;
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  std::jthread server([&] { serve_doubles(acceptor); });
  bench::CountingProxy proxy;
  const auto route = proxy.add_route(acceptor.local_endpoint().port(), /*is_tls=*/false);
  REQUIRE(route);
  {
    tcp::socket client(io);
    client.connect({asio::ip::address_v4::loopback(), (*route)->port()});
    for (int i = 0; i < 3; ++i) {
      std::array<char, 2> answer{};
      asio::write(client, asio::buffer("x", 1));
      CHECK(asio::read(client, asio::buffer(answer)) == 2);
    }
  }
  REQUIRE((*route)->wait_closed(30'000));
  const bench::Traffic traffic = (*route)->take();
  CHECK(traffic.up_bytes() == 3);
  CHECK(traffic.down_bytes() == 6);
  CHECK(traffic.round_trips() == 3);
  CHECK((*route)->take().bytes() == 0);
}

TEST_CASE("keep-alives are no part of a push, all else is") {
  const bench::Traffic before{{{true, 26}, {false, 26}, {false, 400}, {true, 47}}, 2, 2};
  CHECK(before.without_pings().bytes() == 447);
  CHECK(before.without_pings().round_trips() == 0.5);
  const bench::Traffic within{
      {{false, 400}, {true, 47}, {true, 26}, {false, 26}, {true, 47}}, 3, 2};
  CHECK(within.round_trips() == 1.5);
  CHECK(within.without_pings().bytes() == 494);
  CHECK(within.without_pings().round_trips() == 0.5);
  CHECK(within.without_pings().up_records == 2);
  const bench::Traffic push{{{false, 300}, {true, 47}}, 1, 1};
  CHECK(push.without_pings().bytes() == 347);
}

TEST_CASE("the same seed gives the same history, another seed another one") {
  const TemporaryFolder folder;
  write_corpus(folder.path() / "a", "3");
  write_corpus(folder.path() / "b", "3");
  write_corpus(folder.path() / "c", "4");
  CHECK(head_of(folder.path() / "a") == head_of(folder.path() / "b"));
  CHECK(head_of(folder.path() / "a") != head_of(folder.path() / "c"));
  const CommandResult again =
      run_command({program("notp-bench"), "corpus", (folder.path() / "a").string()});
  CHECK(again.status == 2);
}

TEST_CASE("every release of the workload arrives at the agents and is counted in every arm") {
  const TemporaryFolder folder;
  write_corpus(folder.path() / "corpus", "7");
  const auto report_file = folder.path() / "wire.json";
  const CommandResult run =
      run_command({program("notp-bench"), "wire", "--corpus", (folder.path() / "corpus").string(),
                   "--json", report_file.string(), "--seed", "7"},
                  {{"TMPDIR", folder.path().string()}});
  INFO(run.output);
  REQUIRE(run.status == 0);
  const auto text = read_file(report_file, 1 << 20);
  REQUIRE(text);
  const auto report = parse_json(*text);
  REQUIRE(report);
  CHECK(report->at("suite") == "wire");
  CHECK(report->at("seed").to_number<int>() == 7);
  CHECK(report->at("geomean_vs_git").to_number<double>() > 0);
  CHECK(report->at("machine").at("cores").to_number<int>() > 0);
  CHECK(report->at("versions").at("git").as_string().starts_with("git version"));

  const json::array& changes = report->at("changes").as_array();
  REQUIRE(changes.size() == 10);
  CHECK(changes.front().at("tag") == "c0");
  CHECK(changes.back().at("tag") == "c9_reexport");
  uint64_t version = 0;
  for (const json::value& change : changes) {
    INFO(json::serialize(change));
    const auto number = [&](const char* field) { return change.at(field).to_number<uint64_t>(); };
    // Versions follow each other: every tag became a release that both agents activated.
    CHECK(number("version") == ++version);
    CHECK(number("notp_bytes") == number("notp_up_bytes") + number("notp_down_bytes"));
    CHECK(number("notp_up_bytes") > 22);  // more than an empty TLS record: the Commit
    CHECK(number("notp_down_bytes") > number("artifact_bytes"));
    // The first push may share its stream with the agent's own handshake.
    if (number("notp_up_bytes") < 1'000) CHECK(number("pull_bytes") > number("notp_bytes"));
    CHECK(number("git_bytes") > 0);
    CHECK(number("git_bitmap_bytes") > 0);
    CHECK(number("bundle_bytes") > number("artifact_bytes"));
    CHECK(change.at("round_trips").to_number<double>() >= 0.5);
    CHECK(change.at("pull_round_trips").to_number<double>() >= 2);
    CHECK(change.at("encode_ms").to_number<double>() > 0);
    CHECK(change.at("apply_ms").to_number<double>() > 0);
  }
  // Nothing is left behind: programs have ended, folders are gone.
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    CHECK_FALSE(entry.path().filename().string().starts_with("notp-bench-"));
}
