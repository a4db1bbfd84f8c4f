// An auditor types the commands of README.md; then somebody changes the registry's files.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>

#include "tests/support/process/audit_site.hpp"
#include "tests/support/process/documented_commands.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

// A site whose auditor is eve, with some recorded decisions.
struct Recorded {
  AuditSite site;
  Agent& agent;
  const fs::path home = site.stack.file("home"), work = site.stack.file("work");

  Recorded() : agent(site.start_agent({.name = "edge-1"})) {
    for (int64_t i = 0; i < 20; ++i) REQUIRE(site.ask(agent, 10'000 + i));
    site.check_all();
    must(make_folders(work));
    must(make_folders(home / ".config/notp"));
    fs::copy_file(site.stack.file("eve.cli.yaml"), home / ".config/notp/config.yaml");
    fs::copy_file(site.stack.file("ids"), work / "asked.txt");
    fs::copy(site.stack.copy_example("payments"), work / "payments",
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
  CommandResult type(const std::string& command) const { return Typist(work, home).type(command); }
  fs::path audit_folder() const { return site.stack.file("registry.data/audit"); }
  // The only file of a day.
  fs::path day_file() const {
    for (const auto& entry : fs::directory_iterator(audit_folder()))
      if (entry.path().extension() == ".db" && entry.path().filename().string().starts_with("2"))
        return entry.path();
    FAIL("no file of a day in " << audit_folder().string());
    return {};
  }
};

TEST_CASE("the auditor's commands of README.md run as they are printed") {
  const Recorded recorded;
  size_t run = 0;
  for (const std::string& block :
       documented_blocks(recorded.site.stack.source() / "README.md", "## For the auditor"))
    for (const std::string& line : lines_of(block)) {
      if (!line.starts_with("notp ")) continue;  // a part of a manifest
      const CommandResult result = recorded.type(line);
      CHECK_MESSAGE(result.status == 0, line << "\n" << result.output);
      ++run;
    }
  CHECK(run == 13);
}

TEST_CASE("a changed byte, a removed segment and a replaced day are each named by verify") {
  Recorded recorded;
  Stack& stack = recorded.site.stack;
  CHECK(recorded.site.verify().status == 0);
  CHECK(stack.stop_registry() == 0);
  const fs::path day = recorded.day_file();
  const std::string whole = read_text(day);

  SUBCASE("one bit of a body") {
    // The bodies are zstd frames: the first one's magic number leads to it.
    const size_t body = whole.find("\x28\xb5\x2f\xfd");
    REQUIRE(body != std::string::npos);
    std::string changed = whole;
    changed[body + 40] = static_cast<char>(changed[body + 40] ^ 1);
    must(write_file(day, changed));
  }
  SUBCASE("the day is gone") { fs::remove(day); }
  SUBCASE("the day is another file") { must(write_file(day, "SQLite format 3")); }
  stack.start_registry();
  const CliResult verified = recorded.site.verify();
  const std::string said = verified.output + verified.error;
  CHECK_MESSAGE(verified.status == 1, said);
  CHECK_MESSAGE(said.contains("position"), said);
}

}  // namespace
}  // namespace notp
