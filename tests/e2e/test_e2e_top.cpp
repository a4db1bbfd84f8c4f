// `notp top` beside a real registry and three agents, of which one rejects a release and one is
// away; on a terminal, and without one.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>

#include "common/storage/files.hpp"
#include "tests/support/process/pseudo_terminal.hpp"
#include "tests/support/process/shop_model.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tools/notp/top/screen.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

const std::string kTake = "\033[?1049h", kGiveBack = "\033[?7h\033[?25h\033[?1049l";

// "edge-1" may not do what the second release needs.
class Watched {
 public:
  Stack stack{{.freshness_interval_s = 1}};
  Agent *rejecting = nullptr, *good = nullptr, *leaving = nullptr;

  Watched() {
    const json::value allowed = must(
        parse_json(fmt::format(R"([{{"ledgers": ["{}"], "builtins": ["http.send"]}}])", kShop)));
    stack.registry_more["validation"] = json::object{{"allow", allowed}};
    stack.write_registry_config();
    stack.start_registry();
    REQUIRE(stack.published(model_, kShop) == 1);
    const json::object pdp{{"kind", "embedded"}, {"embedded", json::object{{"allow", allowed}}}};
    rejecting = &stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
    good = &stack.start_agent({.name = "edge-2", .ledgers = {kShop}, .more = {{"pdp", pdp}}});
    leaving = &stack.start_agent({.name = "edge-3", .ledgers = {kShop}, .more = {{"pdp", pdp}}});
    for (const Agent* agent : {rejecting, good, leaving})
      REQUIRE(stack.becomes_active(*agent, kShop, 1));
  }

  void publish_second() {
    must(write_file(model_ / "shop/policy.rego",
                    read_text(model_ / "shop/policy.rego") +
                        "\nknown if http.send({\"method\": \"get\", \"url\": "
                        "input.url}).status_code == 200\n"));
    REQUIRE(stack.published(model_, kShop) == 2);
  }

  // `notp top --once -o json`, once it is like this.
  json::value when(const std::function<bool(const json::value&)>& is) {
    json::value last;
    const bool was = wait_until([&] {
      const CliResult asked = stack.notp("eve", {"top", "--once"});
      REQUIRE_MESSAGE(asked.status == 0, asked.error);
      last = asked.document;
      return is(last);
    });
    CHECK_MESSAGE(was, json::serialize(last));
    return last;
  }
  std::vector<std::string> command(std::vector<std::string> more = {}) const {
    std::vector<std::string> out{stack.program("notp"), "--config", stack.file("eve.cli.yaml"),
                                 "top"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  std::map<std::string, std::string> environment(const std::string& terminal = "xterm") const {
    return {{"HOME", stack.file("eve.home")}, {"TERM", terminal}, {"PATH", std::getenv("PATH")}};
  }

 private:
  const fs::path model_ = write_shop_model(stack);
};

const json::value& row_of(const json::value& status) { return status.at("ledgers").at(0); }

void check_row(const json::value& row, int64_t version, int64_t current, int64_t older,
               int64_t rejected, int64_t away) {
  CAPTURE(json::serialize(row));
  CHECK(text_at(row, "ledger") == kShop);
  CHECK(number_at(row, "version") == version);
  CHECK(number_at(row, "nodes") == current + older + rejected + away);
  CHECK(number_at(row, "current") == current);
  CHECK(number_at(row, "older") == older);
  CHECK(number_at(row, "rejected") == rejected);
  CHECK(number_at(row, "away") == away);
  CHECK(number_at(row, "slowest_ms") > 0);
  CHECK(number_at(row, "slowest_ms") < kPatience.count());
  CHECK(text_at(row, "published").ends_with("Z"));
}

// The last whole picture, as lines.
std::vector<std::string> picture(const std::string& text) {
  const size_t end = text.rfind("\033[J");
  if (end == std::string::npos) return {};
  const size_t begin = text.rfind("\033[H", end);
  if (begin == std::string::npos) return {};
  std::vector<std::string> out(1);
  for (size_t i = begin + 3; i < end; ++i) {
    if (text.compare(i, 3, "\033[K") == 0)
      i += 2;
    else if (text[i] == '\n')
      out.emplace_back();
    else if (text[i] != '\r')
      out.back() += text[i];
  }
  return out;
}

bool shows(PseudoTerminal& terminal, const std::string& part) {
  return wait_until([&] {
    for (const std::string& line : picture(terminal.text()))
      if (line.contains(part)) return true;
    return false;
  });
}

TEST_CASE("--once says exactly how many nodes have what, before and after a publish") {
  Watched site;
  const json::value before = site.when([](const json::value& status) {
    // With the session that asks.
    return number_at(status, "sessions") == 4 && !status.at("ledgers").as_array().empty() &&
           number_at(row_of(status), "current") == 3;
  });
  check_row(row_of(before), 1, 3, 0, 0, 0);
  CHECK(text_at(before, "registry") == site.stack.registry_address());
  CHECK(number_at(before, "nodes") == 3);
  CHECK(number_at(before, "connected") == 3);
  CHECK(number_at(before, "stale") == 0);
  CHECK(number_at(before, "publishes") == 1);
  CHECK(number_at(before, "offers") == 3);
  CHECK(number_at(before, "sent_bytes") > 0);
  CHECK(number_at(before, "activations") == 3);
  CHECK(number_at(before, "rejections") == 0);
  CHECK(number_at(before, "records") >= 0);

  site.leaving->kill();
  site.publish_second();
  const json::value after = site.when([](const json::value& status) {
    const json::value& row = row_of(status);
    return number_at(row, "current") == 1 && number_at(row, "rejected") == 1 &&
           number_at(row, "away") == 1;
  });
  check_row(row_of(after), 2, 1, 0, 1, 1);
  CHECK(number_at(after, "nodes") == 3);
  CHECK(number_at(after, "connected") == 2);
  CHECK(number_at(after, "publishes") == 2);
  CHECK(number_at(after, "offers") >= 5);  // a publisher fetches, too
  CHECK(number_at(after, "activations") == 4);
  CHECK(number_at(after, "rejections") == 1);
  CHECK(number_at(after, "sent_bytes") > number_at(before, "sent_bytes"));

  const CliResult denied = site.stack.notp("alice", {"top", "--once"});
  CHECK(denied.status == 5);
  CHECK(denied.error_code() == "denied");
  const CliResult endless = site.stack.notp("eve", {"top"});
  CHECK(endless.status == 2);
  CHECK(text_at(endless.document, "error.hint").contains("--once"));

  const CliResult needs =
      site.stack.notp("eve", {"capacity", "--from-registry", "--decisions-per-second", "5"});
  REQUIRE_MESSAGE(needs.status == 0, needs.error);
  CHECK(at(needs.document, "work.nodes").to_number<double>() == 3);
  CHECK(at(needs.document, "work.ledgers").to_number<double>() == 1);
  CHECK(at(needs.document, "work.ledgers_per_node").to_number<double>() == 1);
  CHECK(at(needs.document, "work.decisions_per_second").to_number<double>() == 5);
  CHECK(at(needs.document, "registry.descriptors.value").to_number<double>() > 3);
  for (const auto& [option, amount] : {std::pair("--model-bytes", "1e30GB"),
                                       {"--model-bytes", "nan"},
                                       {"--model-bytes", "-1"},
                                       {"--nodes", "nan"},
                                       {"--nodes", "inf"},
                                       {"--nodes", "1e10"}})
    CHECK_MESSAGE(site.stack.notp("eve", {"capacity", option, amount}).status == 2, amount);
  CHECK(site.stack.notp("eve", {"capacity", "--nodes", "1e9", "--decisions-per-second", "1e9"})
            .status == 0);
}

TEST_CASE("a terminal is drawn on in place, and is as before after each way to end") {
  Watched site;
  site.leaving->kill();
  site.publish_second();
  site.when([](const json::value& status) {
    return number_at(row_of(status), "rejected") == 1 && number_at(row_of(status), "away") == 1;
  });

  {
    PseudoTerminal terminal(80, 24);
    terminal.start(site.command(), site.environment());
    CHECK(shows(terminal, kShop));
    CHECK(terminal.text().starts_with(kTake));
    CHECK(terminal.text().contains("\033[31m"));
    CHECK((terminal.settings().c_lflag & (ECHO | ICANON)) == 0);
    // One cell of three for each, at least.
    CHECK(shows(terminal, "1/3"));
    CHECK(shows(terminal, "(0.0/s)"));  // a second answer has come

    terminal.resize(40, 20);
    CHECK(wait_until([&] {
      const auto lines = picture(terminal.text());
      return !lines.empty() && lines.size() <= 20 &&
             std::ranges::all_of(lines,
                                 [](const auto& line) { return cli::shown_columns(line) <= 40; });
    }));
    CHECK(shows(terminal, "v2"));
    terminal.resize(120, 30);
    CHECK(shows(terminal, "SLOWEST"));

    // The registry goes and comes back.
    site.stack.kill_registry();
    CHECK(shows(terminal, " old: "));
    CHECK(shows(terminal, "v2"));  // the last picture stays
    site.stack.start_registry();
    CHECK(wait_until([&] {
      const auto lines = picture(terminal.text());
      return !lines.empty() &&
             std::ranges::none_of(lines, [](const auto& line) { return line.contains(" old: "); });
    }));

    ::kill(terminal.pid(), SIGINT);
    const auto status = terminal.wait();
    REQUIRE(status.has_value());
    CHECK(WIFSIGNALED(*status));
    CHECK(WTERMSIG(*status) == SIGINT);
    CHECK(terminal.is_as_before());
    CHECK(terminal.text().ends_with(kGiveBack));
  }
  {
    PseudoTerminal terminal(80, 24);
    auto environment = site.environment();
    environment["NO_COLOR"] = "1";
    terminal.start(site.command(), environment);
    CHECK(shows(terminal, kShop));
    CHECK_FALSE(terminal.text().contains("\033[3"));
    ::kill(terminal.pid(), SIGTERM);
    const auto status = terminal.wait();
    REQUIRE(status.has_value());
    CHECK(WTERMSIG(*status) == SIGTERM);
    CHECK(terminal.is_as_before());
    CHECK(terminal.text().ends_with(kGiveBack));
  }
  {
    // Ctrl-Z gives the terminal to the shell, which continues the program; then 'q'.
    PseudoTerminal terminal(80, 24);
    std::string line;
    for (const std::string& word : site.command()) line += "'" + word + "' ";
    terminal.start({"/bin/bash", "-mc", line + "; echo stopped:$?; stty -a; fg"},
                   site.environment());
    CHECK(shows(terminal, kShop));
    terminal.type("\x1a");
    CHECK(wait_until([&] { return terminal.text().contains("stopped:148"); }));
    CHECK(wait_until([&] {
      const std::string& text = terminal.text();
      return text.find(kTake, text.find("stopped:148")) != std::string::npos;
    }));
    const std::string& text = terminal.text();
    const std::string between =
        text.substr(text.find("stopped:148"), text.rfind(kTake) - text.find("stopped:148"));
    CHECK(between.contains(" icanon"));
    CHECK(between.contains(" echo "));
    CHECK(text.substr(0, text.find("stopped:148")).contains(kGiveBack));
    CHECK(wait_until([&] { return picture(terminal.text()).size() > 3; }));
    terminal.type("q");
    const auto status = terminal.wait();
    REQUIRE(status.has_value());
    CHECK(WIFEXITED(*status));
    CHECK(WEXITSTATUS(*status) == 0);
    CHECK(terminal.is_as_before());
  }
}

TEST_CASE("without a terminal there is a block for each interval, and no escape sequence") {
  Watched site;
  const auto run = [&](const std::string& stem) {
    return Process({.command = site.command({"--interval", "1s"}),
                    .folder = site.stack.folder(),
                    .environment = {{"HOME", site.stack.file("eve.home")}},
                    .output_file = site.stack.file(stem + ".out"),
                    .error_file = site.stack.file(stem + ".err")});
  };
  Process process = run("blocks");
  const auto blocks = [&] {
    const std::string text = process.output();
    size_t count = 0;
    for (size_t at = text.find("notp top  "); at != std::string::npos;
         at = text.find("notp top  ", at + 1))
      ++count;
    return count;
  };
  CHECK(wait_until([&] { return blocks() >= 2 && process.output().contains("/s)"); }));
  site.stack.kill_registry();
  CHECK(wait_until([&] { return process.output().contains(" old: "); }));
  CHECK(process.is_running());
  process.signal(SIGINT);
  CHECK(process.wait() == 128 + SIGINT);
  CHECK_FALSE(process.output().contains('\033'));
  CHECK(process.output().contains(kShop));
  CHECK(process.error().empty());
}

}  // namespace
}  // namespace notp
