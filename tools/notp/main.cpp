#include <exception>

#include "tools/notp/app.hpp"

int main(int argc, char** argv) {
  const notp::Environment environment = notp::process_environment();
  try {
    return notp::cli::run(argc, argv, environment);
  } catch (const std::exception& error) {
    const notp::cli::Output output{notp::cli::Output::Options{}};
    output.error({notp::ErrorCode::kInternal, error.what(), {}});
    return notp::exit_code::kFailure;
  }
}
