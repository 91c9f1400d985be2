"""Load on the deployed API: which payments are sent (`plan`), where (`routing`), and by whom (`locustfile`).

Locust brings gevent, which replaces the standard library's sockets and threads: it runs in a process of its own, which
`tripoint drill` starts. By hand, or against an AWS account, with as many workers as it takes:

    locust -f rollout/load/locustfile.py --headless -u 12 --tripoint-config config/<yours>.toml --payments 1000
    locust -f rollout/load/locustfile.py --worker                       # on each of the others
    locust -f rollout/load/locustfile.py --headless --master --expect-workers 2 --share-among 2 -u 100 ...
"""
