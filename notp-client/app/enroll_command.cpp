#include "notp-client/app/enroll_command.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <optional>
#include <sstream>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "notp-client/app/enroll_service.hpp"

namespace notp::client {
namespace {

Result<std::string> read_token(const std::string& file) {
  std::string text;
  if (file == "-") {
    std::getline(std::cin, text);
  } else {
    NOTP_ASSIGN(text, read_file(file, limits::kJoinTokenBytesMax));
  }
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos)
    return fail(ErrorCode::kUsage,
                fmt::format("{} holds no token; `notp node enroll NAME` at the registry prints one",
                            file == "-" ? "standard input" : file));
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

Result<void> take_token(EnrollCommand& command) {
  if (!command.token_file.empty()) {
    NOTP_ASSIGN(command.options.token, read_token(command.token_file));
  }
  if (!command.options.token.empty()) return {};
  return fail(ErrorCode::kUsage,
              "a join token is missing: give --token-file FILE (- reads standard input), the "
              "variable NOTP_JOIN_TOKEN or --token; `notp node enroll NAME` at the registry prints "
              "one");
}

bool is_at_terminal() { return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1; }

// Asks until every name is that of a ledger; an empty answer is valid.
std::vector<model::LedgerId> ask_for_ledgers() {
  while (true) {
    std::fputs("Which ledgers does this node decide with (zone/name, several between spaces)? ",
               stderr);
    std::string line;
    if (!std::getline(std::cin, line)) return {};
    std::ranges::replace(line, ',', ' ');
    std::istringstream words(line);
    std::vector<model::LedgerId> ledgers;
    bool is_good = true;
    for (std::string word; is_good && words >> word;) {
      auto ledger = model::LedgerId::parse(word);
      is_good = ledger.has_value();
      if (ledger)
        ledgers.push_back(*std::move(ledger));
      else
        std::fprintf(stderr, "%s\n", ledger.error().message.c_str());
    }
    if (is_good) return ledgers;
  }
}

Result<void> take_ledgers(EnrollCommand& command) {
  for (const std::string& text : command.ledgers) {
    NOTP_ASSIGN(model::LedgerId ledger, model::LedgerId::parse(text));
    command.options.ledgers.push_back(std::move(ledger));
  }
  std::error_code error;
  const bool has_config =
      std::filesystem::exists(identity::config_file_of(command.options.folder), error);
  if (command.options.ledgers.empty() && !has_config && is_at_terminal())
    command.options.ledgers = ask_for_ledgers();
  if ((command.run || command.service) && command.options.ledgers.empty() && !has_config)
    return fail(ErrorCode::kUsage,
                fmt::format("{} needs a --ledger: what this node is to decide with",
                            command.run ? "--run" : "--service"));
  return {};
}

void print(const EnrollCommand& command, const identity::Enrolled& enrolled) {
  std::printf("joined as %s\nconfiguration: %s%s\n", enrolled.identity.c_str(),
              enrolled.config.c_str(),
              enrolled.config_written ? "" : " (was there before, not changed)");
  if (enrolled.route.proxy)
    std::printf("reached %s%s\n", enrolled.route.text().c_str(),
                command.options.proxy.url.empty()
                    ? "; the configuration does not name it: give the agent the same variable, or "
                      "write proxy: into the configuration"
                    : "");
  if (enrolled.config_written && command.options.ledgers.empty())
    std::printf(
        "missing: ledgers. Before the agent starts, write into %s what it decides with, as in\n"
        "  ledgers: [100000000000/payments]\n",
        enrolled.config.c_str());
}

}  // namespace

void add_enroll(CLI::App& app, EnrollCommand& command) {
  CLI::App* enroll = command.command = app.add_subcommand(
      "enroll", "join with a one-time token: get a certificate and write a configuration");
  enroll
      ->add_option("--token", command.options.token,
                   "what `notp node enroll` printed; other users of this machine see it while this "
                   "runs: prefer the variable or --token-file")
      ->envname("NOTP_JOIN_TOKEN")
      ->type_name("TOKEN");
  enroll
      ->add_option("--token-file", command.token_file,
                   "file with the token; - reads it from standard input")
      ->type_name("FILE");
  CLI::Option* const folder =
      enroll->add_option("--dir", command.folder, "folder for the identity")->type_name("DIR");
  enroll
      ->add_option("--address", command.options.address,
                   "host:port to join at, instead of the token's")
      ->type_name("HOST:PORT");
  enroll
      ->add_option("--registry", command.options.registry,
                   "host:port of the registry for the configuration, instead of the token's")
      ->type_name("HOST:PORT");
  enroll
      ->add_option("--ledger", command.ledgers,
                   "zone/ledger for the configuration; may be repeated; asked for on a terminal")
      ->type_name("ZONE/NAME");
  enroll
      ->add_option("--proxy", command.options.proxy.url,
                   "HTTP proxy that tunnels to the registry (CONNECT), http://[user@]host:port, "
                   "also for the configuration; none: directly; else HTTPS_PROXY and NO_PROXY say")
      ->type_name("URL");
  enroll
      ->add_option("--proxy-password-file", command.proxy_password_file,
                   "file with the password of the proxy's user")
      ->type_name("FILE");
  enroll->add_flag("--force", command.options.replace, "replace the identity that is there");
  CLI::Option* const run =
      enroll->add_flag("--run", command.run,
                       "then run as the agent; with an identity that is there already, at once");
  enroll
      ->add_flag("--service", command.service,
                 "for the packaged agent: its folder is /var/lib/notp-client, owned by its user, "
                 "/etc/notp/client.yaml becomes a link to its configuration, and it is started; "
                 "as root")
      ->excludes(folder)
      ->excludes(run);
}

Result<std::filesystem::path> run_enroll(EnrollCommand& command, const Environment& environment) {
  std::optional<ServiceEnrollment> service;
  if (command.service) {
    NOTP_ASSIGN(service, ServiceEnrollment::begin());
    command.folder = service->folder();
  } else if (command.folder.empty()) {
    return fail(ErrorCode::kUsage,
                "give --dir DIR, a folder for the identity, or --service for the packaged agent");
  }
  command.options.folder = command.folder;
  if ((command.run || service) && !command.options.replace &&
      identity::is_joined(command.options.folder)) {
    std::filesystem::path config = identity::config_file_of(command.options.folder);
    std::printf("this node has joined already%s%s\n", service ? "" : "; running with ",
                service ? "" : config.c_str());
    std::fflush(stdout);
    if (service) NOTP_TRY(service->finish(/*again=*/false));
    return config;
  }
  command.options.environment = environment;
  command.options.proxy.source = "--proxy";
  command.options.proxy.password_file = command.proxy_password_file;
  NOTP_TRY(take_token(command));
  NOTP_TRY(take_ledgers(command));
  NOTP_ASSIGN(const identity::Enrolled enrolled,
              service ? service->enroll(command.options) : identity::enroll(command.options));
  print(command, enrolled);
  std::fflush(stdout);
  if (service) NOTP_TRY(service->finish(command.options.replace));
  return enrolled.config;
}

}  // namespace notp::client
