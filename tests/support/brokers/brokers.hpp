// Brokers of others on loopback, run by a test: a real Redis and a real PostgreSQL.
#pragma once

#include <fmt/format.h>
#include <libpq-fe.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>

#include "common/c_ptr.hpp"
#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

// PEM files; empty: plain.
struct BrokerTls {
  std::filesystem::path certificate, key, ca;
};

// A certificate for "localhost" and 127.0.0.1.
inline BrokerTls broker_certificate(TestPki& pki) {
  pki::LeafOptions leaf = pki.leaf("registry", "broker");
  leaf.dns_names = {"localhost"};
  leaf.addresses = {"127.0.0.1"};
  const auto files = pki.issue(leaf);
  return {files.certificate, files.private_key, pki.authorities()};
}

class RedisServer {
 public:
  static constexpr const char* kPassword = "a-password-of-redis";

  explicit RedisServer(BrokerTls tls = {}) : tls_(std::move(tls)), port_(free_port()) { start(); }

  void start() {
    std::vector<std::string> command{"redis-server", "--bind",        "127.0.0.1", "--dir",
                                     folder_.path(), "--save",        "",          "--appendonly",
                                     "no",           "--requirepass", kPassword,   "--daemonize",
                                     "no",           "--logfile",     ""};
    const std::string port = std::to_string(port_);
    if (tls_.certificate.empty())
      command.insert(command.end(), {"--port", port});
    else
      command.insert(command.end(), {"--port", "0", "--tls-port", port, "--tls-cert-file",
                                     tls_.certificate, "--tls-key-file", tls_.key,
                                     "--tls-ca-cert-file", tls_.ca, "--tls-auth-clients", "no"});
    process_ = std::make_unique<Process>(ProcessOptions{.command = std::move(command),
                                                        .folder = folder_.path(),
                                                        .environment = {},
                                                        .output_file = folder_.path() / "log",
                                                        .error_file = folder_.path() / "log"});
    const bool answers =
        wait_until([&] { return cli({"PING"}) == "PONG\n" || !process_->is_running(); });
    if (!answers || !process_->is_running())
      throw std::runtime_error("redis-server does not start: " + process_->error());
  }
  void stop() { process_.reset(); }
  void signal(int number) { process_->signal(number); }
  // What redis-cli prints.
  std::string cli(std::vector<std::string> words) const {
    std::vector<std::string> command{"redis-cli",           "-h", "127.0.0.1", "-p",
                                     std::to_string(port_), "-a", kPassword,   "--no-auth-warning"};
    if (!tls_.ca.empty()) command.insert(command.end(), {"--tls", "--cacert", tls_.ca.string()});
    command.insert(command.end(), words.begin(), words.end());
    return run_command(command).output;
  }
  // Returns how many subscribers got it.
  int publish(const std::string& channel, const std::string& message) const {
    return std::stoi(cli({"PUBLISH", channel, message}));
  }
  int port() const { return port_; }
  std::filesystem::path password_file() const {
    const auto file = folder_.path() / "password";
    must(write_file(file, std::string(kPassword) + "\n", 0600));
    return file;
  }

 private:
  TemporaryFolder folder_;
  const BrokerTls tls_;
  const int port_;
  std::unique_ptr<Process> process_;
};

class PostgresqlServer {
 public:
  static constexpr const char* kPassword = "a-password-of-postgresql";

  explicit PostgresqlServer(const BrokerTls& tls = {}) : port_(free_port()) {
    must(write_file(password_file(), std::string(kPassword) + "\n", 0600));
    if (!tls.certificate.empty()) {
      must(write_file(folder_.path() / "server.pem", read_text(tls.certificate)));
      must(write_file(folder_.path() / "server.key", read_text(tls.key), 0600));
      is_tls_ = true;
    }
    own_folder();
    const CommandResult made = run_command(as_nobody(
        {program("initdb"), "--pgdata", data(), "--username", "jans", "--auth", "scram-sha-256",
         "--pwfile", password_file(), "--no-sync", "--encoding", "UTF8", "--locale", "C"}));
    if (made.status != 0) throw std::runtime_error("initdb: " + made.output);
    start();
  }

  void start() {
    std::vector<std::string> command{program("postgres"),
                                     "-D",
                                     data(),
                                     "-p",
                                     std::to_string(port_),
                                     "-c",
                                     "listen_addresses=127.0.0.1",
                                     "-c",
                                     "unix_socket_directories=",
                                     "-c",
                                     "fsync=off"};
    if (is_tls_)
      command.insert(
          command.end(),
          {"-c", "ssl=on", "-c",
           fmt::format("ssl_cert_file={}", (folder_.path() / "server.pem").string()), "-c",
           fmt::format("ssl_key_file={}", (folder_.path() / "server.key").string())});
    process_ = std::make_unique<Process>(ProcessOptions{.command = as_nobody(std::move(command)),
                                                        .folder = "/",
                                                        .environment = {},
                                                        .output_file = log_.path() / "log",
                                                        .error_file = log_.path() / "log"});
    const bool answers = wait_until(
        [&] { return PQping(address().c_str()) == PQPING_OK || !process_->is_running(); });
    if (!answers || !process_->is_running())
      throw std::runtime_error("postgres does not start: " + process_->error());
  }
  // An orderly end, with all its processes.
  void stop() {
    process_->signal(SIGINT);
    process_->wait();
    process_.reset();
  }
  ~PostgresqlServer() {
    if (process_ && process_->is_running()) stop();
  }
  PostgresqlServer(const PostgresqlServer&) = delete;
  PostgresqlServer& operator=(const PostgresqlServer&) = delete;

  void execute(const std::string& statement) const {
    const CPointer<PGconn, PQfinish> connection(PQconnectdb(address().c_str()));
    const CPointer<PGresult, PQclear> result(PQexec(connection.get(), statement.c_str()));
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK)
      throw std::runtime_error(PQerrorMessage(connection.get()));
  }
  int port() const { return port_; }
  std::filesystem::path password_file() const { return log_.path() / "password"; }

 private:
  // Debian has the server's programs outside of PATH.
  static std::string program(const std::string& name) {
    std::string folder = run_command({"pg_config", "--bindir"}).output;
    while (folder.ends_with('\n')) folder.pop_back();
    return folder + "/" + name;
  }
  // PostgreSQL does not run as root.
  static std::vector<std::string> as_nobody(std::vector<std::string> command) {
    if (::geteuid() != 0) return command;
    std::vector<std::string> out{"setpriv",        "--reuid=nobody", "--regid=nogroup",
                                 "--clear-groups", "--pdeathsig",    "KILL"};
    out.insert(out.end(), command.begin(), command.end());
    return out;
  }
  void own_folder() const {
    if (::geteuid() != 0) return;
    run_command({"chown", "-R", "nobody:nogroup", folder_.path(), log_.path()});
  }
  std::string data() const { return folder_.path() / "data"; }
  std::string address() const {
    return fmt::format("host=127.0.0.1 port={} dbname=postgres user=jans password={}", port_,
                       kPassword);
  }

  TemporaryFolder folder_, log_;
  const int port_;
  bool is_tls_ = false;
  std::unique_ptr<Process> process_;
};

}  // namespace notp
