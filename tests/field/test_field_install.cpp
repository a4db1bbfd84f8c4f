// The content of a package: installed into a folder, everything is where Debian expects it, and the
// programs run from there and find each other.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>

#include "tests/support/process/command.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

struct Installed {
  TemporaryFolder folder;
  const fs::path build = fs::path(std::getenv("NOTP_BIN")).parent_path();
  const fs::path usr = folder.path() / "usr";

  Installed() {
    const CommandResult done = run_command({"cmake", "--install", build, "--prefix", "/usr"},
                                           {{"DESTDIR", folder.path()}});
    REQUIRE_MESSAGE(done.status == 0, done.output);
  }
  CommandResult run(const std::string& program, std::vector<std::string> words) const {
    words.insert(words.begin(), usr / "bin" / program);
    return run_command(words, {{"HOME", folder.path()}});
  }
};

TEST_CASE("an installation has everything where Debian expects it") {
  const Installed installed;
  for (const char* file : {"bin/notp",
                           "bin/notp-server",
                           "bin/notp-client",
                           "bin/notp-pdp",
                           "share/notp/schemas/manifest.schema.json",
                           "share/notp/schemas/server-config.schema.json",
                           "share/notp/schemas/agent-config.schema.json",
                           "share/notp/schemas/mirror-config.schema.json",
                           "share/notp/prometheus/rules.yml",
                           "share/notp/grafana/notp-registry.json",
                           "share/doc/notp/tools/packaging/RUNBOOK.md",
                           "share/doc/notp/README.md",
                           "share/doc/notp/protocol/wire/README.md",
                           "share/doc/notp/examples/server.yaml",
                           "share/doc/notp/examples/client.yaml",
                           "share/doc/notp/examples/mirror.yaml",
                           "share/doc/notp/examples/mirror/mirror.yaml",
                           "share/doc/notp/tools/notp/mirror/README.md",
                           "lib/systemd/system/notp-mirror.service",
                           "lib/systemd/system/notp-txn.service",
                           "share/doc/notp/examples/txn.yaml",
                           "share/doc/notp/examples/payments/manifest.json",
                           "lib/sysusers.d/notp.conf",
                           "share/bash-completion/completions/notp",
                           "share/zsh/vendor-completions/_notp",
                           "share/fish/vendor_completions.d/notp.fish",
                           "share/bash-completion/completions/notp-server",
                           "share/zsh/vendor-completions/_notp-client",
                           "share/fish/vendor_completions.d/notp-client.fish"})
    CHECK_MESSAGE(fs::exists(installed.usr / file), file);
  for (const char* page : {"man1/notp.1", "man1/notp-publish.1", "man5/notp-server.yaml.5",
                           "man5/notp-manifest.json.5", "man1/notp-mirror.1",
                           "man5/notp-mirror.yaml.5", "man8/notp-client.8", "man8/notp-pdp.8"})
    CHECK_MESSAGE(fs::exists(installed.usr / "share/man" / page), page);

  const CommandResult completed = run_command(
      {"bash", "-c",
       "source \"$1\"; COMP_WORDS=(notp pub); COMP_CWORD=1; _notp; echo \"${COMPREPLY[@]}\"", "-",
       installed.usr / "share/bash-completion/completions/notp"});
  CHECK_MESSAGE(completed.output.contains("publish"), completed.output);

  // The packages' own configurations are valid.
  const fs::path examples = installed.usr / "share/doc/notp/examples";
  const CommandResult server =
      installed.run("notp-server", {"--check-config", "--config", examples / "server.yaml"});
  CHECK_MESSAGE(server.status == 0, server.output);
  for (const char* file : {"client.yaml", "txn.yaml", "central-pdp/agent.yaml"}) {
    const CommandResult client =
        installed.run("notp-client", {"--check-config", "--config", examples / file});
    CHECK_MESSAGE(client.status == 0, client.output);
  }
  const CommandResult cli = installed.run("notp", {"--config", examples / "config.yaml", "config"});
  CHECK_MESSAGE(cli.output.contains("registry.core-platform.internal:7443"), cli.output);
}

TEST_CASE("the units name the installed programs and are what systemd accepts") {
  const Installed installed;
  // The only external program in them: verified is below this folder.
  must(make_folders(installed.folder.path() / "bin"));
  must(write_file(installed.folder.path() / "bin/kill", "", 0755));
  for (const std::string program : {"notp-server", "notp-client"}) {
    const fs::path unit = installed.usr / "lib/systemd/system" / (program + ".service");
    const std::string text = read_text(unit);
    CHECK_MESSAGE(text.contains(fmt::format("ExecStart=/usr/bin/{} ", program)), text);
    CHECK(text.contains("ConditionPathExists=/etc/notp/"));
    CHECK_FALSE(text.contains('@' + std::string("bindir")));
    if (run_command({"systemd-analyze", "--version"}).status != 0) continue;
    const CommandResult verified =
        run_command({"systemd-analyze", "verify", "--man=no", "--root", installed.folder.path(),
                     "--recursive-errors=no", "/usr/lib/systemd/system/" + program + ".service"});
    CHECK_MESSAGE(verified.status == 0, verified.output);
    // Missing system units do not affect ours.
    CHECK_MESSAGE(!verified.output.contains(program + ".service:"), verified.output);
  }
}

TEST_CASE("installed programs publish, judge and decide: each finds notp-pdp beside itself") {
  const Installed installed;
  const std::string built = std::getenv("NOTP_BIN");
  ::setenv("NOTP_BIN", (installed.usr / "bin").c_str(), 1);
  {
    Stack stack;
    stack.start_registry();
    const fs::path shop = write_shop_model(stack);
    CHECK(stack.notp("alice", {"validate", shop}).status == 0);
    CHECK(stack.published(shop, kShop) == 1);
    Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
    CHECK(stack.becomes_active(agent, kShop, 1));
    CHECK(agent.decide("shop/allow", json::object{{"user", "u-1"}}) == json::value(true));
  }
  ::setenv("NOTP_BIN", built.c_str(), 1);
}

}  // namespace
}  // namespace notp
