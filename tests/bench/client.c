/* Copyright (c) 2026, the octofleet.octopus authors
 * GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The yardstick for octo_probe: the same two probes as directly on libssl as one can, epoll and non-blocking sockets.
 *
 *     client identity|trust PORT COUNT CERTIFICATE.pem
 *
 * Each line on stdin is one round over 127.0.0.1 .. COUNT addresses; each answers "CPU_SECONDS WALL_SECONDS GOOD".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_FLIGHT = 256 };
enum stage { SHAKING, ASKED, LEAVING };

static const char QUESTION[] = "MX\r\n\r\nMX-CLIENT 1.0\r\n\r\n";
static const unsigned char NOTHING[] = {0xe3, 0x63, 0x60, 0x60, 0xe0, 0xf2, 0x4d, 0x2d, 0x2e, 0x4e, 0x4c, 0x4f, 0x65, 0x60, 0, 0};

struct call {
    SSL *ssl;
    int fd;
    enum stage stage;
};

static int epoll, trust, port, good;
static SSL_CTX *context;

static void begin(int number) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f000000u + number)};
    struct call *call = calloc(1, sizeof *call);
    call->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(call->fd, (struct sockaddr *)&to, sizeof to);
    call->ssl = SSL_new(context);
    SSL_set_fd(call->ssl, call->fd);
    SSL_set_connect_state(call->ssl);
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = call};
    epoll_ctl(epoll, EPOLL_CTL_ADD, call->fd, &event);
}

static void want(struct call *call, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = call};
    epoll_ctl(epoll, EPOLL_CTL_MOD, call->fd, &event);
}

static void hash(SSL *ssl) {
    unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
    X509 *peer = SSL_get1_peer_certificate(ssl);
    int length = i2d_X509(peer, &der);
    EVP_Digest(der, length, digest, NULL, EVP_sha1(), NULL);
    OPENSSL_free(der);
    X509_free(peer);
}

/* 1 when the call is over. */
static int advance(struct call *call) {
    char buffer[4096];
    int n;
    if (call->stage == SHAKING) {
        n = SSL_do_handshake(call->ssl);
        if (n != 1) {
            int error = SSL_get_error(call->ssl, n);
            if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return 1;
            want(call, error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
            return 0;
        }
        hash(call->ssl);
        want(call, EPOLLIN);
        if (trust) {
            SSL_write(call->ssl, QUESTION, sizeof QUESTION - 1);
            call->stage = ASKED;
        } else {
            good++;
            SSL_shutdown(call->ssl);
            call->stage = LEAVING;
        }
        return 0;
    }
    if (call->stage == ASKED) {
        n = SSL_read(call->ssl, buffer, sizeof buffer);
        if (n <= 0) return SSL_get_error(call->ssl, n) != SSL_ERROR_WANT_READ;
        good += n == 17 && !memcmp(buffer, "MX-SERVER 1.0\r\n\r\n", 17);
        SSL_write(call->ssl, NOTHING, sizeof NOTHING);
        call->stage = LEAVING;
        return 0;
    }
    while ((n = recv(call->fd, buffer, sizeof buffer, 0)) > 0) {
    }
    return n == 0 || errno != EAGAIN;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static double cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void round_over(int count) {
    struct epoll_event events[IN_FLIGHT];
    int next = 1, open = 0;
    while (next <= count || open) {
        for (; next <= count && open < IN_FLIGHT; open++) begin(next++);
        int ready = epoll_wait(epoll, events, IN_FLIGHT, 10000);
        if (ready <= 0) return;
        for (int i = 0; i < ready; i++) {
            struct call *call = events[i].data.ptr;
            if (!advance(call)) continue;
            SSL_free(call->ssl);
            close(call->fd);
            free(call);
            open--;
        }
    }
}

int main(int argc, char **argv) {
    char line[16];
    if (argc != 5) return 2;
    signal(SIGPIPE, SIG_IGN);
    trust = !strcmp(argv[1], "trust");
    port = atoi(argv[2]);
    epoll = epoll_create1(0);
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set1_groups_list(context, "X25519");
    if (trust && (SSL_CTX_use_certificate_file(context, argv[4], SSL_FILETYPE_PEM) != 1 ||
                  SSL_CTX_use_PrivateKey_file(context, argv[4], SSL_FILETYPE_PEM) != 1))
        return 3;
    while (fgets(line, sizeof line, stdin)) {
        double from = seconds(), spent = cpu();
        good = 0;
        round_over(atoi(argv[3]));
        printf("%.6f %.6f %d\n", cpu() - spent, seconds() - from, good);
        fflush(stdout);
    }
    return 0;
}
