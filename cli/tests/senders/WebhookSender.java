// Sends events with Apache's HttpClient, configured as in OpenVidu's HttpWebhookSender: five tries
// after an I/O error and none after an answer, a timeout of ten seconds, connections that are kept
// for thirty seconds and checked after three. Reads one body per line from standard input; for
// each, it prints one line: its status or "dropped", and the number of tries.
//
// java -cp httpclient.jar:httpcore.jar:commons-logging.jar:commons-codec.jar WebhookSender.java URL NAME VALUE

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;

import org.apache.http.client.HttpClient;
import org.apache.http.client.config.RequestConfig;
import org.apache.http.client.methods.HttpPost;
import org.apache.http.entity.StringEntity;
import org.apache.http.impl.client.HttpClientBuilder;
import org.apache.http.impl.conn.PoolingHttpClientConnectionManager;
import org.apache.http.util.EntityUtils;

public class WebhookSender {
    private static int failures;

    private static HttpClient client() {
        PoolingHttpClientConnectionManager connections = new PoolingHttpClientConnectionManager();
        connections.setValidateAfterInactivity(3000);
        RequestConfig timeouts =
                RequestConfig.custom().setConnectTimeout(10000).setSocketTimeout(10000).build();
        return HttpClientBuilder.create()
                .setDefaultRequestConfig(timeouts)
                .setConnectionTimeToLive(30, TimeUnit.SECONDS)
                .setConnectionManager(connections)
                .setRetryHandler((error, count, context) -> {
                    failures = count;
                    return count < 5;
                })
                .build();
    }

    public static void main(String[] arguments) throws IOException {
        HttpClient client = client();
        BufferedReader input =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String body = input.readLine(); body != null; body = input.readLine()) {
            failures = 0;
            HttpPost request = new HttpPost(arguments[0]);
            request.setHeader(arguments[1], arguments[2]);
            request.setHeader("Content-Type", "application/json");
            request.setEntity(new StringEntity(body, "UTF-8"));
            String fate;
            try {
                var response = client.execute(request);
                EntityUtils.consumeQuietly(response.getEntity());
                fate = response.getStatusLine().getStatusCode() + " " + (failures + 1);
            } catch (IOException error) {
                fate = "dropped " + failures;
            }
            System.out.println(fate);
            System.out.flush();
        }
    }
}
