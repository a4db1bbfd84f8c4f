// A broker of others, as the example of transaction tokens uses it.
#pragma once

#include <filesystem>
#include <string>

namespace notp {

class Broker {
 public:
  Broker() = default;
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;
  virtual ~Broker() = default;

  // With its streams as they are in store(). Waits until it answers.
  virtual void start() = 0;
  // Ends it as an operator does: what it has is in its files.
  virtual void stop() = 0;
  virtual std::string url() const = 0;
  virtual std::filesystem::path store() const = 0;
  // As any client can; waits until the broker has it.
  virtual void publish(const std::string& queue, const std::string& payload) const = 0;
};

}  // namespace notp
