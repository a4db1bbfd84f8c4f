// The suites on very small workloads: checks that they measure real events, not how fast these are.
#include <doctest/doctest.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <thread>

#include "common/json/json.hpp"
#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/bench/counting_proxy.hpp"
#include "tools/bench/decide_questions.hpp"
#include "tools/bench/http_load.hpp"
#include "tools/bench/samples.hpp"

using namespace notp;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

std::string program(const std::string& name) {
  const char* folder = std::getenv("NOTP_BIN");
  REQUIRE(folder != nullptr);
  return std::string(folder) + "/" + name;
}

// At the default scale a whole model is too small to leave anything after a cut.
void write_corpus(const std::filesystem::path& folder, const std::string& seed,
                  const std::string& scale = "0.002") {
  const CommandResult made = run_command(
      {program("notp-bench"), "corpus", "--seed", seed, "--scale", scale, folder.string()});
  INFO(made.output);
  REQUIRE(made.status == 0);
}

std::string head_of(const std::filesystem::path& repository) {
  const CommandResult head = run_command({"git", "-C", repository.string(), "rev-parse", "HEAD"});
  REQUIRE(head.status == 0);
  return head.output;
}

// Runs a suite and returns its figures. Nothing remains: programs have ended, folders are removed.
json::value report_of(const std::filesystem::path& folder, std::vector<std::string> words) {
  const auto file = folder / "report.json";
  words.insert(words.begin(), program("notp-bench"));
  words.insert(words.end(), {"--json", file.string()});
  const CommandResult run = run_command(words, {{"TMPDIR", folder.string()}});
  INFO(run.output);
  REQUIRE(run.status == 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    CHECK_FALSE(entry.path().filename().string().starts_with("notp-bench-"));
  const auto text = read_file(file, 1 << 20);
  REQUIRE(text);
  auto report = parse_json(*text);
  REQUIRE(report);
  CHECK(report->at("machine").at("cores").to_number<int>() > 0);
  CHECK(report->at("versions").at("git").as_string().starts_with("git version"));
  return *std::move(report);
}

uint64_t number_in(const json::value& object, std::string_view field) {
  return object.at(field).to_number<uint64_t>();
}

double p50_in(const json::value& object, std::string_view field) {
  return object.at(field).at("p50_ms").to_number<double>();
}

// Every target has a figure and a verdict; the verdicts are not checked here.
void check_targets(const json::value& report, size_t count) {
  const json::array& targets = report.at("targets").as_array();
  CHECK(targets.size() == count);
  for (const json::value& target : targets) {
    INFO(json::serialize(target));
    const double figure = target.at("figure").to_number<double>();
    const double bound = target.at("target").to_number<double>();
    const bool reached = target.at("at_least").as_bool() ? figure >= bound : figure <= bound;
    CHECK(target.at("met").as_bool() == reached);
    if (const json::value* control = target.as_object().if_contains("control"))
      CHECK(control->to_number<double>() >= 0);
  }
}

// Answers each byte with two, until the peer closes.
void serve_doubles(tcp::acceptor& acceptor) {
  tcp::socket socket = acceptor.accept();
  boost::system::error_code ended;
  for (char byte = 0; asio::read(socket, asio::buffer(&byte, 1), ended) == 1;)
    asio::write(socket, asio::buffer(std::array{byte, byte}));
}

// Answers each question after 20 ms, the third one by closing the connection.
void serve_slowly(tcp::acceptor& acceptor, int questions) {
  tcp::socket socket = acceptor.accept();
  boost::system::error_code ended;
  std::string question;
  for (int i = 1; i <= questions; ++i) {
    const size_t bytes = asio::read_until(socket, asio::dynamic_buffer(question), "{}", ended);
    question.erase(0, bytes);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (i == 3) {
      socket.close();
      socket = acceptor.accept();
      continue;
    }
    asio::write(socket,
                asio::buffer(std::string("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")));
  }
}

// A cut connection, a node with another registry's release, and one with a damaged file.
void check_starts(const json::value& report) {
  const json::array& starts = report.at("starts").as_array();
  REQUIRE(starts.size() == 3);
  for (const json::value& start : starts) {
    INFO(json::serialize(start));
    CHECK(number_in(start, "bytes") ==
          number_in(start, "up_bytes") + number_in(start, "down_bytes"));
    CHECK(start.at("round_trips").to_number<double>() >= 1);
    CHECK(number_in(start, "whole_bytes") == number_in(starts.at(0), "whole_bytes"));
  }
  const json::value& resume = starts.at(0);
  CHECK(resume.at("start") == "resume");
  CHECK(resume.at("tag") == "c0");
  // Data received before the cut is not sent again, except for a part of a chunk.
  CHECK(number_in(resume, "bytes") < number_in(resume, "whole_bytes"));
  CHECK(number_in(resume, "bytes_until_cut") < number_in(resume, "whole_bytes"));
  // Neither another registry's release nor damage requires the whole model.
  CHECK(starts.at(1).at("start") == "unknown base");
  CHECK(starts.at(2).at("start") == "repair");
  for (const size_t start : {1, 2})
    CHECK(number_in(starts.at(start), "bytes") < number_in(starts.at(start), "whole_bytes") / 2);
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

TEST_CASE("the proxy cuts a connection after so many bytes, and lets the next one pass") {
  asio::io_context io;
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  std::jthread server([&] {
    for (int connection = 0; connection < 2; ++connection) serve_doubles(acceptor);
  });
  bench::CountingProxy proxy;
  const auto route = proxy.add_route(acceptor.local_endpoint().port(), /*is_tls=*/false);
  REQUIRE(route);
  const auto talk = [&](int questions) {
    tcp::socket client(io);
    client.connect({asio::ip::address_v4::loopback(), (*route)->port()});
    size_t answered = 0;
    boost::system::error_code ended;
    for (int i = 0; i < questions && !ended; ++i) {
      std::array<char, 2> answer{};
      asio::write(client, asio::buffer("x", 1), ended);
      if (!ended) answered += asio::read(client, asio::buffer(answer), ended);
    }
    return answered;
  };
  (*route)->cut_after(3);
  CHECK(talk(5) == 3);
  const auto until_cut = (*route)->await_cut(30'000);
  REQUIRE(until_cut);
  CHECK(until_cut->down_bytes() == 3);
  CHECK(until_cut->up_bytes() == 2);
  CHECK(talk(5) == 10);
  REQUIRE((*route)->wait_closed(30'000));
  const bench::Traffic rest = (*route)->take();
  CHECK(rest.down_bytes() == 10);
  CHECK(rest.up_bytes() == 5);
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
  write_corpus(folder.path() / "corpus", "7", "0.003");
  const json::value report = report_of(
      folder.path(), {"wire", "--corpus", (folder.path() / "corpus").string(), "--seed", "7"});
  CHECK(report.at("suite") == "wire");
  CHECK(report.at("seed").to_number<int>() == 7);
  CHECK(report.at("geomean_vs_git").to_number<double>() > 0);

  const json::array& changes = report.at("changes").as_array();
  REQUIRE(changes.size() == 10);
  CHECK(changes.front().at("tag") == "c0");
  CHECK(changes.back().at("tag") == "c9_reexport");
  uint64_t version = 0;
  for (const json::value& change : changes) {
    INFO(json::serialize(change));
    const auto number = [&](const char* field) { return number_in(change, field); };
    // Versions are consecutive: every tag became a release that both agents activated.
    CHECK(number("version") == ++version);
    CHECK(number("notp_bytes") == number("notp_up_bytes") + number("notp_down_bytes"));
    CHECK(number("notp_up_bytes") > 22);  // more than an empty TLS record: the Commit
    CHECK(number("notp_down_bytes") > number("artifact_bytes"));
    // A pull includes the handshake, a push does not: not even the first. The whole may have been
    // recompressed by then.
    if (change.at("tag") != "c0") CHECK(number("pull_bytes") > number("notp_bytes"));
    CHECK(number("pull_up_bytes") > number("notp_up_bytes"));
    CHECK(number("git_bytes") > 0);
    CHECK(number("git_bitmap_bytes") > 0);
    CHECK(number("bundle_bytes") > number("artifact_bytes"));
    CHECK(change.at("round_trips").to_number<double>() >= 0.5);
    CHECK(change.at("pull_round_trips").to_number<double>() >= 2);
    CHECK(change.at("encode_ms").to_number<double>() > 0);
    CHECK(change.at("apply_ms").to_number<double>() > 0);
    CHECK((change.as_object().contains("met") == (version > 1)));
  }
  check_starts(report);
  // The geometric mean, the most expensive change, and round trips: of push, pull, resume, unknown
  // base.
  check_targets(report, 6);
}

TEST_CASE("every release is published, timed until the PDP decides with it, and OPA, too") {
  const TemporaryFolder folder;
  const json::value report = report_of(folder.path(), {"latency", "--seed", "5", "--scale", "0.001",
                                                       "--updates", "3", "--control-updates", "2"});
  CHECK(report.at("suite") == "latency");
  CHECK(report.at("seed").to_number<int>() == 5);
  CHECK(report.at("versions").at("opa").as_string().starts_with("Version:"));
  CHECK(number_in(report, "document_bytes") > 19'000);
  // The first release, and for both kinds one to warm up and three.
  CHECK(number_in(report, "versions_published") == 1 + 2 * (1 + 3));
  const json::array& changes = report.at("changes").as_array();
  REQUIRE(changes.size() == 2);
  for (const json::value& change : changes) {
    INFO(json::serialize(change));
    CHECK(number_in(change.at("publish_to_active"), "n") == 3);
    CHECK(number_in(change.at("opa_bundle_to_active"), "n") == 2);
    CHECK(number_in(change, "artifact_bytes") > 0);
    CHECK(number_in(change, "bundle_bytes") > number_in(change, "artifact_bytes"));
    for (const char* figure : {"publish_to_result", "publish_to_active", "prepare",
                               "opa_bundle_to_active", "opa_prepare"})
      CHECK(p50_in(change, figure) > 0);
  }
  check_targets(report, 0);  // they are for 20 MB
}

TEST_CASE("a suite without its control says how to get it") {
  const CommandResult run =
      run_command({program("notp-bench"), "latency", "--scale", "0.001"}, {{"NOTP_OPA", ""}});
  CHECK(run.status == 2);
  CHECK(run.output.find("tools/build-opa") != run.output.npos);
}

TEST_CASE("a node that has nothing gets the whole model, and so does git") {
  const TemporaryFolder folder;
  write_corpus(folder.path() / "corpus", "9");
  const json::value report = report_of(
      folder.path(), {"cold", "--corpus", (folder.path() / "corpus").string(), "--runs", "2"});
  INFO(json::serialize(report));
  CHECK(report.at("suite") == "cold");
  CHECK(number_in(report, "version") == 1);
  CHECK(number_in(report, "model_files") > 50);
  CHECK(number_in(report, "notp_bytes") > number_in(report, "notp_up_bytes"));
  // Compressed, including the handshake.
  CHECK(number_in(report, "notp_bytes") < number_in(report, "model_bytes"));
  CHECK(report.at("round_trips").to_number<double>() >= 2);
  for (const char* figure : {"stored", "active", "disk"}) {
    CHECK(number_in(report.at(figure), "n") == 2);
    CHECK(p50_in(report, figure) > 0);
  }
  for (const char* git : {"git", "git_bitmap"}) {
    CHECK(number_in(report.at(git), "bytes") > number_in(report, "notp_up_bytes"));
    CHECK(number_in(report.at(git).at("durable"), "n") == 2);
    CHECK(p50_in(report.at(git), "durable") >= p50_in(report.at(git), "cloned"));
  }
  check_targets(report, 0);  // they are for the whole workload
}

TEST_CASE("memory and wake-ups are those of the agent and of OPA") {
  const TemporaryFolder folder;
  const json::value report = report_of(
      folder.path(), {"footprint", "--seed", "5", "--scale", "0.001", "--window-s", "0.3"});
  INFO(json::serialize(report));
  CHECK(report.at("suite") == "footprint");
  CHECK(number_in(report, "window_ms") == 300);
  CHECK(number_in(report, "delta_bytes") > 0);
  CHECK(number_in(report, "delta_bytes") < number_in(report, "document_bytes"));
  const json::array& programs = report.at("programs").as_array();
  REQUIRE(programs.size() == 3);
  constexpr uint64_t kPageBytes = 4'096;
  for (const json::value& one : programs) {
    INFO(json::serialize(one));
    CHECK(number_in(one.at("empty"), "resident_bytes") > 100 * kPageBytes);
    for (const char* moment : {"empty", "loaded", "changed"}) {
      const json::value& memory = one.at(moment);
      CHECK(number_in(memory, "resident_peak_bytes") > 0);
      CHECK(number_in(memory, "anonymous_bytes") > 0);
      CHECK(number_in(memory, "anonymous_bytes") < number_in(memory, "resident_bytes"));
    }
  }
  // Both agents: the change has arrived in the folder of one and in the decisions of the other.
  for (const size_t agent : {0, 1}) CHECK(number_in(programs[agent], "version") == 2);
  check_targets(report, 3);  // the other two are for 20 MB
}

TEST_CASE("both PDPs answer every question rightly, and no answer mixes two releases") {
  const TemporaryFolder folder;
  const json::value report =
      report_of(folder.path(), {"decide", "--seed", "5", "--seconds", "0.4", "--rounds", "2"});
  INFO(json::serialize(report));
  CHECK(report.at("suite") == "decide");
  CHECK(report.at("seed").to_number<int>() == 5);
  CHECK(number_in(report, "question_bytes") > 200);
  const json::array& rows = report.at("rows").as_array();
  REQUIRE(rows.size() == 12);
  for (const json::value& row : rows) {
    INFO(json::serialize(row));
    for (const char* pdp : {"agent", "opa"}) {
      // A way that the agent does not support yet is skipped, with a note.
      const json::value* figures = row.as_object().if_contains(pdp);
      if (figures == nullptr && row.at("row").as_string().starts_with("200 PEPs")) {
        CHECK(pdp == std::string_view("opa"));
        continue;
      }
      if (figures == nullptr) {
        CHECK(pdp == std::string_view("agent"));
        CHECK(report.at("notes").as_array().size() > 0);
        continue;
      }
      CHECK(number_in(*figures, "decisions") >= number_in(figures->at("latency"), "n"));
      CHECK(number_in(*figures, "decisions") > 0);
      CHECK(number_in(*figures, "wrong") == 0);
      // The agent has a deadline for each question, which it can miss on a busy machine.
      if (pdp == std::string_view("opa")) CHECK(number_in(*figures, "failed") == 0);
      CHECK(p50_in(*figures, "latency") > 0);
    }
  }
  const json::array& swaps = report.at("swaps").as_array();
  REQUIRE(swaps.size() == 2);
  for (const json::value& one : swaps) {
    INFO(json::serialize(one));
    CHECK(number_in(one, "published") >= 2);
    CHECK(number_in(one, "seen") >= 1);
    CHECK(number_in(one, "mixed") == 0);
  }
  // None of the loops gets an answer.
  for (const json::value& loops : report.at("endless_loops").as_array()) {
    INFO(json::serialize(loops));
    CHECK(number_in(loops, "asked") >= 4);
    CHECK_FALSE(loops.at("answers").as_object().contains("200"));
  }
  CHECK(number_in(report.at("flood"), "answers") + number_in(report.at("flood"), "refused") > 0);
  CHECK(report.at("targets").as_array().size() >= 8);
}

TEST_CASE("every event of a lane reaches every session, and a node holds every token") {
  const TemporaryFolder folder;
  const json::value report = report_of(
      folder.path(), {"lane", "--sessions", "20,40", "--tokens", "5000", "--seconds", "1.5"});
  INFO(json::serialize(report));
  CHECK(report.at("suite") == "lane");
  const json::array& fan_outs = report.at("fan_outs").as_array();
  REQUIRE(fan_outs.size() == 2);
  for (const json::value& fan_out : fan_outs) {
    const uint64_t sessions = number_in(fan_out, "sessions");
    REQUIRE(fan_out.at("rows").as_array().size() == 3);
    for (const json::value& row : fan_out.at("rows").as_array()) {
      CHECK(number_in(row, "batches") >= 1);
      CHECK(number_in(row, "batches") <= number_in(row, "events"));
      for (const char* figure : {"received", "applied"})
        CHECK(number_in(row.at(figure), "n") == sessions * number_in(row, "events"));
      CHECK(number_in(row.at("raw_writes"), "n") == sessions * number_in(row, "batches"));
    }
  }
  const json::value& held = report.at("held");
  CHECK(number_in(held, "tokens") == 5'000);
  CHECK(number_in(held, "snapshot_bytes") > 5'000 * 16);
  CHECK(held.at("events_rate").to_number<double>() > 0);
  for (const char* row : {"by_input", "quiet", "busy"}) CHECK(number_in(held.at(row), "n") > 0);
  CHECK(report.at("targets").as_array().empty());
}

TEST_CASE("a token service issues to every connection, and its tokens verify") {
  const TemporaryFolder folder;
  const json::value report =
      report_of(folder.path(), {"txn", "--connections", "2,4", "--seconds", "0.3"});
  INFO(json::serialize(report));
  CHECK(report.at("suite") == "txn");
  CHECK(number_in(report, "rules") == 20);
  const json::array& rows = report.at("issues").as_array();
  REQUIRE(rows.size() == 5);
  for (const json::value& row : rows) {
    CHECK(number_in(row, "n") > 0);
    CHECK(number_in(row, "verified") > 0);
    CHECK(row.at("cpu_us_each").to_number<double>() > 0);
  }
  CHECK(number_in(rows.at(1), "connections") == 4);
  CHECK(report.at("openssl").at("signs_per_s").to_number<double>() > 0);
  CHECK_FALSE(report.as_object().contains("keycloak"));
  CHECK(report.at("targets").as_array().empty());
}

TEST_CASE("every record of a spool is in a segment, and is cheaper than OPA's event") {
  const TemporaryFolder folder;
  const json::value report =
      report_of(folder.path(), {"spool", "--seed", "5", "--records", "5000", "--strict-s", "0.1"});
  INFO(json::serialize(report));
  CHECK(report.at("suite") == "spool");
  CHECK(number_in(report, "records") == 5'000);
  const json::value& control = report.at("control");
  for (const char* figure :
       {"batches_per_s", "sync_ms", "syncs_per_s", "write_us", "hash_us", "gzip_bytes"})
    CHECK(control.at(figure).to_number<double>() > 0);
  CHECK(report.at("event_bytes").to_number<double>() >
        report.at("record_bytes").to_number<double>());
  CHECK(number_in(report.at("answer"), "n") == 5'000);
  for (const char* figure : {"append", "answer"}) CHECK(p50_in(report, figure) > 0);
  const json::array& strict = report.at("strict").as_array();
  REQUIRE(strict.size() == 4);
  for (const json::value& row : strict) CHECK(row.at("records_per_s").to_number<double>() > 0);
  // These are no times: they hold on every machine.
  const auto body = report.at("body_bytes").to_number<double>();
  const auto wire = report.at("wire_bytes").to_number<double>();
  CHECK(body > 50);
  CHECK(wire > body);
  CHECK(wire < control.at("gzip_bytes").to_number<double>());
  const size_t fast_disk = control.at("sync_ms").to_number<double>() <= 2.5 ? 1 : 0;
  check_targets(report, 8 + fast_disk);
}

TEST_CASE("the audit store takes in all records, finds what there is, and verifies") {
  const TemporaryFolder folder;
  const json::value report = report_of(
      folder.path(), {"audit", "--seed", "5", "--records", "20000", "--duckdb", "/bin/false"});
  INFO(json::serialize(report));
  CHECK(report.at("suite") == "audit");
  CHECK(number_in(report, "records") == 20'000);
  const json::value& ingest = report.at("ingest");
  CHECK(number_in(ingest, "segments") >= 20);
  CHECK(number_in(ingest, "body_bytes") < number_in(ingest, "content_bytes"));
  CHECK(ingest.at("control_per_core_s").to_number<double>() >
        ingest.at("records_per_core_s").to_number<double>());
  CHECK(report.at("store_bytes").to_number<double>() * 20'000 > number_in(ingest, "body_bytes"));
  CHECK(number_in(report.at("verify"), "records") == 20'000);
  const json::value& questions = report.at("questions");
  for (const char* question :
       {"show", "rare_value", "newest", "counts", "contains_first", "contains_all"})
    CHECK(p50_in(questions.at(question), "latency") > 0);
  CHECK(number_in(questions.at("newest"), "hits") == 50);
  // All but the two records at the beginning of each log.
  CHECK(number_in(questions.at("counts"), "hits") == 20'000 - 2 * 8);
  CHECK(number_in(questions.at("rare_value"), "hits") > 10);
  CHECK(number_in(questions.at("contains_all"), "hits") ==
        number_in(questions.at("rare_value"), "hits"));
  CHECK(report.at("duckdb").at("not_measured") == "no duckdb");
  check_targets(report, 5);  // the others are for ten million
}

TEST_CASE("an answer says what it was decided with") {
  const auto answer = [](std::string_view body) { return bench::HttpAnswer{200, body}; };
  using bench::Verdict;
  CHECK(bench::judge_allowed(answer(R"({"decision_id":"1","result":true})"), true) ==
        Verdict::kRight);
  CHECK(bench::judge_allowed(answer(R"({"result":true})"), false) == Verdict::kWrong);
  CHECK(bench::judge_allowed(answer("{}"), false) == Verdict::kWrong);
  CHECK(bench::judge_allowed({500, R"({"result":true})"}, true) == Verdict::kRefused);
  const std::vector<bench::RbacQuestion> questions = {
      {"{}", true}, {"{}", false}, {"{}", true}, {"{}", true}};
  const std::string second = R"({"evaluations":[{"decision":true},{"decision":true}]})";
  CHECK(bench::judge_all(answer(second), questions, 2, 1) == Verdict::kRight);
  CHECK(bench::judge_all(answer(second), questions, 2, 0) == Verdict::kWrong);
  CHECK(bench::judge_all(answer(R"({"evaluations":[{"decision":true}]})"), questions, 2, 1) ==
        Verdict::kWrong);
  CHECK(bench::judge_all(answer(second), questions, 1, 0) == Verdict::kWrong);
  const std::string undecided =
      R"({"evaluations":[{"decision":false,"context":{"error":{"status":500}}}]})";
  CHECK(bench::judge_all(answer(undecided), questions, 1, 1) == Verdict::kRefused);
  const auto stamped =
      bench::stamped_answer(answer(R"({"result":{"allow":false,"document":7,"rule":8}})"));
  REQUIRE(stamped);
  CHECK_FALSE(stamped->allowed);
  CHECK(stamped->rule == 8);
  CHECK(stamped->document == 7);
  CHECK_FALSE(bench::stamped_answer(answer(R"({"result":{"allow":false,"rule":8}})")));
}

TEST_CASE("a load at a rate counts the time that a question waits, and losses") {
  // The bounds hold at any speed: answers take 20 ms, on one connection, and ten questions become
  // due within 100 ms, so the last one waits for the nine before it.
  asio::io_context io;
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  std::jthread server([&] { serve_slowly(acceptor, 10); });
  const bench::PdpAddress address{.port = acceptor.local_endpoint().port()};
  const auto figures = bench::run_load({.address = address,
                                        .requests = {bench::post_message(address, "/", "{}")},
                                        .judge =
                                            [](size_t, const bench::HttpAnswer& answer) {
                                              return answer.status == 200 ? bench::Verdict::kRight
                                                                          : bench::Verdict::kWrong;
                                            },
                                        .rate = 100,
                                        .seconds = 0.1});
  REQUIRE(figures);
  CHECK(figures->answers == 9);
  CHECK(figures->failed == 1);
  CHECK(figures->latency.percentile(0) >= 20);
  CHECK(figures->latency.percentile(100) >= 10 * 20 - 90);
}

TEST_CASE("a percentile is a sample that so many do not pass") {
  bench::Samples samples;
  CHECK(samples.p50() == 0);
  for (int ms = 100; ms > 0; --ms) samples.add(ms);
  CHECK(samples.p50() == 50);
  CHECK(samples.p99() == 99);
  CHECK(samples.percentile(0) == 1);
  CHECK(samples.percentile(100) == 100);
  bench::Samples one;
  one.add(7);
  CHECK(one.p50() == 7);
  CHECK(one.p99() == 7);
}
