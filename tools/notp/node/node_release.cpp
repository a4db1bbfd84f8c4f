// notp node release: lets a release go that the replay gate of a node holds.
#include <fmt/format.h>

#include "tools/notp/node/node_commands.hpp"
#include "tools/notp/query/query_session.hpp"
#include "tools/notp/query/reference.hpp"

namespace notp::cli {
namespace {

struct ReleaseOptions {
  std::string node, ledger, version;
};

Result<int> run_release(const Context& context, const ReleaseOptions& options) {
  NOTP_ASSIGN(const model::LedgerId ledger, model::LedgerId::parse(options.ledger));
  NOTP_ASSIGN(const uint64_t version, parse_version(options.version));
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const session::Identity node, named_identity(options.node, session.trust_domain));
  if (auto done = session.client->ask(wire::ReleaseHeldRequest{node.text(), ledger, version});
      !done)
    return std::unexpected(
        std::move(done).error().with("hint", "'notp node show' has what the node says of it"));
  context.output.result(
      fmt::format("{} v{} may go at {}: the node takes it now, or when it connects again;\n"
                  "'notp node show {}' has the outcome\n",
                  ledger.text(), version, node.text(), options.node),
      json::object{{"node", node.text()}, {"ledger", ledger.text()}, {"version", version}});
  return exit_code::kOk;
}

}  // namespace

void add_node_release(Commands& commands, CLI::App& node) {
  commands.add<ReleaseOptions>(
      node, "release", "Let a release go that the replay gate of a node holds",
      [](CLI::App& command, ReleaseOptions& options) {
        command.add_option("node", options.node, "Name of the node")->type_name("NAME")->required();
        command.add_option("ledger", options.ledger, "Ledger of the release")
            ->type_name("ZONE/NAME")
            ->required();
        command.add_option("version", options.version, "The release that is held")
            ->type_name("VERSION")
            ->required();
        command.footer(
            "A release is held when its manifest has a gate and the node's own recorded decisions\n"
            "come out differently with it: 'notp nodes' says gate_held, with the counts. The next\n"
            "release of the ledger is tried for itself. Needs the right to publish to the ledger.");
      },
      run_release);
}

}  // namespace notp::cli
