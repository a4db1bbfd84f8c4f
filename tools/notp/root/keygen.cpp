// notp keygen: makes signing keys.
#include <fmt/format.h>

#include "tools/notp/command.hpp"
#include "tools/notp/root/key_files.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

struct KeygenOptions {
  std::string name;
};

Result<int> run_keygen(const Context& context, const KeygenOptions& options) {
  const fs::path key_path = options.name + ".key", public_path = options.name + ".pub";
  const PrivateKey key = PrivateKey::generate();
  NOTP_TRY(write_new_files(
      {{key_path, key.to_pem(), true}, {public_path, key.public_key().to_pem(), false}}));
  const std::string keyid = key.public_key().keyid();
  context.output.result(
      fmt::format("New Ed25519 key {}\n{}", keyid,
                  facts({{"private", key_path.string() + " (keep it secret and backed up)"},
                         {"public", public_path.string()}})),
      json::object{{"keyid", keyid},
                   {"private_key", key_path.string()},
                   {"public_key", public_path.string()}});
  return exit_code::kOk;
}

}  // namespace

void add_keygen(Commands& commands) {
  commands.add<KeygenOptions>(
      commands.root(), "keygen", "Make an Ed25519 key that signs roots or releases",
      [](CLI::App& command, KeygenOptions& options) {
        command.add_option("--out", options.name, "Writes NAME.key (private) and NAME.pub")
            ->type_name("NAME")
            ->required();
      },
      run_keygen);
}

}  // namespace notp::cli
