// An example grabber: pushes frames to a camera of kind `socket`, over the socket or through shared memory.
//
//   g++ -O2 -std=c++17 -o grabber grabber.cpp
//   ./grabber SOCKET WIDTH HEIGHT COUNT [RATE_HZ] [shared]
//
// A real grabber fills `pixels` from its frame grabber card and takes sequence and time from there.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

#pragma pack(push, 1)
struct FrameHeader {           // little-endian
    char magic[4];             // "PIFR"
    uint16_t version;          // 1
    uint16_t header_size;      // 56
    uint32_t width, height;
    uint8_t channels;          // 1 (grey) or 3 (RGB)
    uint8_t reserved1;
    uint16_t unit_length;      // bytes of the unit's name after the header, 0: none
    uint16_t memory_length;    // bytes of a shared memory's name after that, 0: the pixels follow
    uint16_t reserved2;
    uint64_t sequence;         // the camera's own count: a gap is a lost frame
    uint64_t hardware_time_ns; // the camera's own clock, 0: none
    uint64_t payload_length;   // width * height * channels
    uint64_t memory_offset;    // where the pixels begin in the shared memory
};
#pragma pack(pop)
static_assert(sizeof(FrameHeader) == 56, "the header is 56 bytes");

static bool send_all(int out, const void* data, size_t length) {
    auto at = static_cast<const char*>(data);
    while (length > 0) {
        ssize_t sent = send(out, at, length, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        at += sent;
        length -= static_cast<size_t>(sent);
    }
    return true;
}

// 0: taken. Otherwise the reason is printed, and the connection is at its end.
static int answer(int from) {
    char status = 1;
    if (recv(from, &status, 1, 0) == 1 && status == 0) return 0;
    std::string text;
    char part[256];
    for (ssize_t got; (got = recv(from, part, sizeof part, 0)) > 0;) text.append(part, static_cast<size_t>(got));
    std::fprintf(stderr, "refused: %s\n", text.c_str());
    return 1;
}

int main(int argc, char** argv) {
    if (argc < 5) {
        std::fprintf(stderr, "usage: grabber SOCKET WIDTH HEIGHT COUNT [RATE_HZ] [shared]\n");
        return 2;
    }
    uint32_t width = std::strtoul(argv[2], nullptr, 10), height = std::strtoul(argv[3], nullptr, 10);
    uint64_t count = std::strtoull(argv[4], nullptr, 10);
    double rate_hz = argc > 5 ? std::atof(argv[5]) : 0;  // 0: as fast as they are taken
    bool shared = argc > 6 && std::string(argv[6]) == "shared";
    size_t bytes = size_t(width) * height * 3;

    int out = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
    if (connect(out, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        std::perror(argv[1]);
        return 1;
    }

    std::string memory;
    std::vector<uint8_t> own;
    uint8_t* pixels;
    if (shared) {
        memory = "grabber-" + std::to_string(getpid());
        int file = shm_open(("/" + memory).c_str(), O_CREAT | O_RDWR, 0600);
        if (file < 0 || ftruncate(file, static_cast<off_t>(bytes)) != 0) return std::perror("shared memory"), 1;
        void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (mapped == MAP_FAILED) return std::perror("shared memory"), 1;
        pixels = static_cast<uint8_t*>(mapped);
    } else {
        own.resize(bytes);
        pixels = own.data();
    }

    auto begun = std::chrono::steady_clock::now();
    int failed = 0;
    for (uint64_t number = 0; number < count && !failed; ++number) {
        if (rate_hz > 0) std::this_thread::sleep_until(begun + std::chrono::duration<double>(number / rate_hz));
        std::memset(pixels, static_cast<int>(number % 251), bytes);
        std::string unit = "unit " + std::to_string(number);
        FrameHeader header{};
        std::memcpy(header.magic, "PIFR", 4);
        header.version = 1;
        header.header_size = sizeof header;
        header.width = width;
        header.height = height;
        header.channels = 3;
        header.unit_length = static_cast<uint16_t>(unit.size());
        header.memory_length = static_cast<uint16_t>(memory.size());
        header.sequence = number;
        auto now = std::chrono::steady_clock::now().time_since_epoch();
        header.hardware_time_ns = static_cast<uint64_t>(std::chrono::nanoseconds(now).count());
        header.payload_length = bytes;
        bool sent = send_all(out, &header, sizeof header) && send_all(out, unit.data(), unit.size());
        sent = sent && (shared ? send_all(out, memory.data(), memory.size()) : send_all(out, pixels, bytes));
        failed = answer(out) || !sent;
    }
    double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    if (!failed) std::printf("%.0f frames/s, %.0f MB/s\n", count / took, count * bytes / took / 1e6);
    if (shared) shm_unlink(("/" + memory).c_str());
    close(out);
    return failed;
}
