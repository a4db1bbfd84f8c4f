// The installed units: what systemd says of them, and how exposed they leave the daemons.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/shop_model.hpp"
#include "tests/support/process/txn_site.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

// In tenths, as systemd-analyze wants it.
constexpr int kExposureMax = 15;

struct Units {
  TemporaryFolder folder;
  const fs::path units = folder.path() / "usr/lib/systemd/system";

  Units() {
    const fs::path build = fs::path(std::getenv("NOTP_BIN")).parent_path();
    const CommandResult done = run_command({"cmake", "--install", build, "--prefix", "/usr"},
                                           {{"DESTDIR", folder.path()}});
    REQUIRE_MESSAGE(done.status == 0, done.output);
    // The only external program in them: verified is below this folder.
    must(make_folders(folder.path() / "bin"));
    must(write_file(folder.path() / "bin/kill", "", 0755));
  }
  std::string verdict_on(const std::string& unit) const {
    const CommandResult verified =
        run_command({"systemd-analyze", "verify", "--man=no", "--root", folder.path(),
                     "--recursive-errors=no", "/usr/lib/systemd/system/" + unit});
    // Missing units of the system do not affect ours.
    std::string ours;
    std::istringstream lines(verified.output);
    for (std::string line; std::getline(lines, line);)
      if (line.contains("notp")) ours += line + "\n";
    return verified.status == 0 ? ours : verified.output;
  }
};

bool has_systemd() { return run_command({"systemd-analyze", "--version"}).status == 0; }

TEST_CASE("systemd accepts every unit, and no daemon is much exposed") {
  if (!has_systemd()) {
    MESSAGE("skipped: there is no systemd-analyze");
    return;
  }
  const Units installed;
  for (const std::string unit :
       {"notp-server.service", "notp-client.service", "notp-txn.service", "notp-mirror.service",
        "notp-client.socket", "notp-client-unix.socket"})
    CHECK(installed.verdict_on(unit) == "");
  for (const std::string unit :
       {"notp-server.service", "notp-client.service", "notp-txn.service", "notp-mirror.service"}) {
    const CommandResult analyzed =
        run_command({"systemd-analyze", "security", "--offline=true", "--no-pager",
                     fmt::format("--threshold={}", kExposureMax), installed.units / unit});
    CHECK_MESSAGE(analyzed.status == 0, analyzed.output);
    MESSAGE(analyzed.output.substr(analyzed.output.find("Overall")));
  }
}

TEST_CASE("a mistake in a unit, or an exposed one, is found") {
  if (!has_systemd()) {
    MESSAGE("skipped: there is no systemd-analyze");
    return;
  }
  const Units installed;
  const fs::path unit = installed.units / "notp-client.service";
  std::string text = read_text(unit);
  text.replace(text.find("WatchdogSec=60"), 14, "WatchdogSex=60");
  must(write_file(unit, text));
  CHECK(installed.verdict_on("notp-client.service").contains("WatchdogSex"));
  text.erase(text.find("PrivateMounts=yes"), 17);
  must(write_file(unit, text));
  CHECK(run_command({"systemd-analyze", "security", "--offline=true", "--no-pager",
                     fmt::format("--threshold={}", kExposureMax), unit})
            .status != 0);
}

// What `systemctl help notp-server` opens.
TEST_CASE("the documentation that the services name is installed") {
  const Units installed;
  for (const std::string unit : {"notp-server", "notp-client", "notp-txn", "notp-mirror"}) {
    std::istringstream lines(read_text(installed.units / (unit + ".service")));
    std::set<std::string> pages;
    for (std::string line; std::getline(lines, line);) {
      constexpr std::string_view kKey = "Documentation=", kMan = "man:", kFile = "file:///";
      if (!line.starts_with(kKey)) continue;
      std::istringstream names(line.substr(kKey.size()));
      for (std::string name; names >> name;) {
        fs::path file;
        if (const size_t bracket = name.find('('); name.starts_with(kMan)) {
          const std::string page = name.substr(kMan.size(), bracket - kMan.size());
          const std::string section = name.substr(bracket + 1, name.size() - bracket - 2);
          file = fmt::format("usr/share/man/man{0}/{1}.{0}", section, page);
          pages.insert(page + "." + section);
        } else {
          REQUIRE_MESSAGE(name.starts_with(kFile), name);
          file = name.substr(kFile.size());
        }
        CHECK_MESSAGE(fs::exists(installed.folder.path() / file), file.string());
      }
    }
    const std::string section = unit == "notp-mirror" ? ".1" : ".8";  // a command of notp
    const std::string program = unit == "notp-txn" ? "notp-client" : unit;
    CHECK(pages == std::set{program + section, program + ".yaml.5"});
  }
}

// systemd 252, Debian 12's, does not know notify-reload.
TEST_CASE("the services are notified, watched and reloaded, and sockets go by their listeners") {
  const Units installed;
  for (const std::string unit :
       {"notp-server.service", "notp-client.service", "notp-txn.service", "notp-mirror.service"}) {
    const std::string text = read_text(installed.units / unit);
    for (const char* line : {"\nType=notify\n", "\nWatchdogSec=", "\nTimeoutStartSec=",
                             "\nExecReload=", "\nConditionPathExists=/etc/notp/"})
      CHECK_MESSAGE(text.contains(line), unit << line);
  }
  // systemd would end all passes when the kernel ends the git of one.
  CHECK(read_text(installed.units / "notp-mirror.service").contains("\nOOMPolicy=continue\n"));
  CHECK(read_text(installed.units / "notp-client.socket")
            .contains("ListenStream=127.0.0.1:8282\nFileDescriptorName=listen\n"));
  const std::string unix_unit = read_text(installed.units / "notp-client-unix.socket");
  CHECK(unix_unit.contains("SocketMode=0660\n"));
  CHECK(unix_unit.contains("FileDescriptorName=listen_unix\nService=notp-client.service\n"));
  CHECK(read_text(installed.folder.path() / "usr/lib/tmpfiles.d/notp.conf")
            .contains("d /run/notp 0755 notp-client notp-client"));
}

// System calls by name, of this machine.
std::map<std::string, int> call_numbers() {
  std::map<std::string, int> out;
  std::istringstream header(read_text("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"));
  for (std::string line; std::getline(header, line);) {
    std::istringstream words(line);
    std::string define, name;
    int number = 0;
    if (words >> define >> name >> number && name.starts_with("__NR_"))
      out[name.substr(5)] = number;
  }
  return out;
}

// What systemd means by a group, "@process", or a call.
std::set<std::string> calls_of(const std::string& name) {
  if (!name.starts_with('@')) return {name};
  std::set<std::string> out;
  std::istringstream lines(run_command({"systemd-analyze", "syscall-filter", name}).output);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("    ") && !line.starts_with("    #")) out.merge(calls_of(line.substr(4)));
  return out;
}

// The calls that a unit allows: lines of names to add, and after '~' of names to remove.
std::set<std::string> allowed_by(const fs::path& unit) {
  constexpr std::string_view kKey = "SystemCallFilter=";
  std::set<std::string> out = calls_of("@default");
  std::istringstream lines(read_text(unit));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kKey)) continue;
    const bool removes = line.substr(kKey.size()).starts_with('~');
    std::istringstream names(line.substr(kKey.size() + (removes ? 1 : 0)));
    for (std::string name; names >> name;)
      for (const std::string& call : calls_of(name))
        if (removes)
          out.erase(call);
        else
          out.insert(call);
  }
  return out;
}

// Programs in a folder that run the built ones under their units' system call filters.
fs::path filtered_programs(const Units& installed, const std::string& built,
                           const std::string& agent_unit = "notp-client.service") {
  const auto numbers = call_numbers();
  const fs::path folder = installed.folder.path() / "filtered";
  must(make_folders(folder));
  must(write_file(folder / "notp", fmt::format("#!/bin/sh\nexec '{}/notp' \"$@\"\n", built), 0755));
  for (const auto& [program, unit] :
       {std::pair{std::string("notp-server"), std::string("notp-server.service")},
        {"notp-client", agent_unit}}) {
    std::string list;
    for (const std::string& call : allowed_by(installed.units / unit))
      if (const auto found = numbers.find(call); found != numbers.end())
        list += fmt::format("{} ", found->second);
    must(write_file(folder / (program + ".calls"), list));
    must(write_file(folder / program,
                    fmt::format("#!/bin/sh\nexec '{}' '{}' '{}/{}' \"$@\"\n", NOTP_FILTERED_PROGRAM,
                                (folder / (program + ".calls")).string(), built, program),
                    0755));
  }
  return folder;
}

// The engine's workers lock themselves in, which takes system calls as well.
TEST_CASE("both daemons publish, decide and record with the system calls that their units allow") {
  if (!has_systemd() || call_numbers().empty()) {
    MESSAGE("skipped: there is no systemd-analyze, or this is another architecture");
    return;
  }
  const Units installed;
  const std::string built = std::getenv("NOTP_BIN");
  ::setenv("NOTP_BIN", filtered_programs(installed, built).c_str(), 1);
  {
    Stack stack;
    stack.registry_more["health_listen"] = "127.0.0.1:0";
    stack.write_registry_config();
    stack.start_registry();
    CHECK(read_text(fmt::format("/proc/{}/status", stack.registry_pid())).contains("Seccomp:\t2"));
    CHECK(stack.published(write_shop_model(stack), kShop) == 1);
    Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
    CHECK(stack.becomes_active(agent, kShop, 1));
    CHECK(agent.decide("shop/allow", json::object{{"user", "u-1"}}) == json::value(true));
    CHECK(agent.stop() == 0);
    CHECK(stack.stop_registry() == 0);
  }
  ::setenv("NOTP_BIN", built.c_str(), 1);
}

// It makes keys, writes them and grants, listens with TLS, and asks its engine.
TEST_CASE("a token service makes keys, grants and tokens with the system calls of its unit") {
  if (!has_systemd() || call_numbers().empty()) {
    MESSAGE("skipped: there is no systemd-analyze, or this is another architecture");
    return;
  }
  const Units installed;
  const std::string built = std::getenv("NOTP_BIN");
  ::setenv("NOTP_BIN", filtered_programs(installed, built, "notp-txn.service").c_str(), 1);
  {
    TxnSite site;
    Agent& service = site.start();
    CHECK(read_text(fmt::format("/proc/{}/status", service.pid())).contains("Seccomp:\t2"));
    const Workload shop = site.workload(std::string(TxnSite::kShop));
    const TokenAnswer answer = shop.ask(TxnSite::with(
        site.request(site.lane.jwt()), "request_details", site.delegate_to(TxnSite::kWorker)));
    CHECK_MESSAGE(answer.status == 200, json::serialize(answer.body));
    CHECK_FALSE(answer.grant().empty());
    CHECK(service.stop() == 0);
  }
  ::setenv("NOTP_BIN", built.c_str(), 1);
}

}  // namespace
}  // namespace notp
