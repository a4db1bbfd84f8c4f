// notp witness: a witness of registries' trees, for another organisation than the registry's.
#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "common/http/server.hpp"
#include "common/storage/files.hpp"
#include "common/storage/folder_lock.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/root/key_files.hpp"
#include "tools/notp/witness/witness.hpp"

namespace notp::cli {
namespace {

namespace asio = boost::asio;

constexpr const char* kKeyFile = "witness.key";

struct WitnessOptions {
  std::string folder;
  std::string name;
};

struct ServeOptions {
  WitnessOptions witness;
  std::vector<std::string> logs;
  std::string address = "127.0.0.1";
  uint16_t port = 8440;
  std::string certificate, key;
};

// A witness that forgets its key is another one: the file is made once, and kept.
Result<PrivateKey> own_key(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kKeyFile;
  auto key = read_private_key(file);
  if (key || key.error().code != ErrorCode::kNotFound) return key;
  NOTP_TRY(make_folders(folder));
  PrivateKey fresh = PrivateKey::generate();
  NOTP_TRY(write_new_files({{file, fresh.to_pem(), true}}));
  return fresh;
}

record::NamedKey named(const WitnessOptions& options, const PrivateKey& key) {
  return {options.name, key.public_key(), /*cosigns=*/true};
}

Result<void> check_name(const std::string& name) {
  const auto parsed = record::parse_named_key(
      record::named_key_text({name, PrivateKey::from_seed({}).public_key()}));
  if (parsed) return {};
  return fail(ErrorCode::kUsage,
              fmt::format("'{}' is no name of a witness: one word without '+', as in "
                          "witness.example.org/w1",
                          printable(name)));
}

Result<int> run_key(const Context& context, const WitnessOptions& options) {
  NOTP_TRY(check_name(options.name));
  NOTP_ASSIGN(const PrivateKey key, own_key(options.folder));
  const std::string text = record::named_key_text(named(options, key));
  context.output.result(text + "\n", json::object{{"key", text}});
  return exit_code::kOk;
}

http::Endpoint endpoint_of(const ServeOptions& options) {
  if (options.certificate.empty())
    return http::TcpEndpoint{.address = options.address, .port = options.port};
  return http::TlsEndpoint{.address = options.address,
                           .port = options.port,
                           .certificate = options.certificate,
                           .private_key = options.key,
                           .client_authorities = {},
                           .client_certificate = http::ClientCertificate::kNone};
}

http::Handler handler_of(Witness& witness) {
  return [&witness](const http::Request& request) -> asio::awaitable<http::Response> {
    if (request.path != "/add-checkpoint")
      co_return http::error_response(404, "not_found", "POST /add-checkpoint is all there is");
    if (request.method != "POST")
      co_return http::error_response(405, "method_not_allowed", "use POST");
    WitnessAnswer answer = witness.add_checkpoint(request.body, read_clock().wall_ms / 1'000);
    http::Response response;
    response.status = answer.status;
    response.content_type = std::move(answer.content_type);
    response.body = std::move(answer.body);
    co_return response;
  };
}

Result<std::vector<record::NamedKey>> read_logs(const std::vector<std::string>& texts) {
  std::vector<record::NamedKey> out;
  for (const std::string& text : texts) {
    auto key = record::parse_named_key(text);
    if (!key || key->cosigns)
      return fail(ErrorCode::kUsage,
                  fmt::format("--log: '{}' is no key of a registry's tree; 'notp registry tree' "
                              "prints it",
                              printable(text)));
    out.push_back(*std::move(key));
  }
  return out;
}

Result<int> run_serve(const Context& context, const ServeOptions& options) {
  NOTP_TRY(check_name(options.witness.name));
  if (options.certificate.empty() != options.key.empty())
    return fail(ErrorCode::kUsage, "--tls-certificate and --tls-key go together");
  NOTP_ASSIGN(const std::vector<record::NamedKey> logs, read_logs(options.logs));
  NOTP_ASSIGN(PrivateKey key, own_key(options.witness.folder));
  const std::string key_text = record::named_key_text(named(options.witness, key));
  NOTP_ASSIGN(const FolderLock lock, FolderLock::acquire(options.witness.folder));
  NOTP_ASSIGN(const std::unique_ptr<Witness> witness,
              Witness::open(options.witness.folder, options.witness.name, std::move(key), logs,
                            [&](const std::string& what) { context.output.note(what); }));
  asio::io_context loop{1};
  http::ServerOptions limits;
  limits.body_bytes_max = record::kAddCheckpointBytesMax;
  NOTP_ASSIGN(std::unique_ptr<http::Server> server,
              http::Server::listen(loop.get_executor(), endpoint_of(options), limits,
                                   handler_of(*witness)));
  context.output.result(
      fmt::format("Witnessing {} on {}:{}\nkey {}\n", counted(logs.size(), "tree"), options.address,
                  server->port(), key_text),
      json::object{{"address", options.address},
                   {"port", server->port()},
                   {"key", key_text},
                   {"trees", logs.size()}});
  asio::signal_set signals(loop, SIGTERM, SIGINT);
  signals.async_wait([&](auto, int) { server->stop(limits::kHttpIdleMs / 10, [] {}); });
  loop.run();
  return exit_code::kOk;
}

void declare_witness(CLI::App& command, WitnessOptions& options) {
  command
      .add_option("--folder", options.folder,
                  "Where its key and the newest checkpoints are kept; it is to be backed up")
      ->type_name("DIR")
      ->required();
  command.add_option("--name", options.name, "Its name, as in witness.example.org/w1")
      ->type_name("NAME")
      ->required();
}

void declare_serve(CLI::App& command, ServeOptions& options) {
  declare_witness(command, options.witness);
  command
      .add_option(
          "--log", options.logs,
          "The key of a registry's tree, as 'notp registry tree' prints it; may be repeated")
      ->type_name("KEY")
      ->required();
  command.add_option("--address", options.address, "Where it listens, numeric")
      ->type_name("ADDRESS")
      ->capture_default_str();
  command.add_option("--port", options.port, "0: the system chooses")
      ->type_name("PORT")
      ->capture_default_str();
  command
      .add_option("--tls-certificate", options.certificate,
                  "Listen with TLS, and beyond loopback: the certificate, PEM")
      ->type_name("FILE");
  command.add_option("--tls-key", options.key, "Its private key, PEM")->type_name("FILE");
  command.footer(
      "Answers POST /add-checkpoint as C2SP tlog-witness says. It cosigns a checkpoint of a tree\n"
      "that contains everything it has cosigned of that tree before, and keeps the newest one\n"
      "durably first. Without TLS it listens on loopback, for a proxy that adds it.\n"
      "Run it where the registry's owner has no access: that is what it is for.");
}

}  // namespace

void add_witness(Commands& commands) {
  CLI::App* witness = commands.root().add_subcommand(
      "witness", "Witness the trees of registries, for those who need not trust them");
  witness->require_subcommand(1);
  commands.add<ServeOptions>(*witness, "serve", "Answer registries that ask for a cosignature",
                             declare_serve, run_serve);
  commands.add<WitnessOptions>(*witness, "key",
                               "Print the key that 'notp decisions check --witness' takes",
                               declare_witness, run_key);
}

}  // namespace notp::cli
